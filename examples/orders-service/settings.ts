import { Command, InvalidArgumentError, Option } from 'commander';

/** What one replica of the service is told at its start. */
export interface Settings {
  readonly backend: 'etcd' | 'consul' | 'postgres';
  /** `host:port` of the server; of Postgres a connection string. */
  readonly address: string;
  /** Of the service: replicas of one name elect one leader. */
  readonly name: string;
  readonly replica: string;
  /** 0: any free one. */
  readonly port: number;
  /** Milliseconds. */
  readonly ttl: number;
  /** Milliseconds between two settlements. */
  readonly interval: number;
}

const numeric = (text: string): number => {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0) throw new InvalidArgumentError('It must be a whole number.');
  return number;
};

export const storeOptions = [
  new Option('--backend <name>', 'where the locks live')
    .choices(['etcd', 'consul', 'postgres'])
    .default('etcd'),
  new Option('--address <host:port>', 'of its server; of Postgres a connection string'),
  new Option('--name <service>', 'whose replicas elect one leader').default('orders'),
  new Option('--ttl <ms>', 'how long a replica that died keeps its locks').argParser(numeric).default(10_000),
  new Option('--interval <ms>', 'between two settlements').argParser(numeric).default(500),
];

export function settingsOf(argv: readonly string[]): Settings {
  const program = new Command('replica').allowExcessArguments(false);
  for (const option of storeOptions) program.addOption(option);
  program
    .addOption(new Option('--replica <name>', 'which one this is').makeOptionMandatory())
    .addOption(new Option('--port <number>', '0 for any').argParser(numeric).default(0))
    .parse(argv);
  if (program.getOptionValue('address') === undefined) program.error('--address is missing');
  return program.opts<Settings>();
}
