import { Command, InvalidArgumentError, Option } from 'commander';
import { STORES, type StoreName } from '../demo/stores.ts';

/** What the command is told. */
export interface Settings {
  readonly backend: StoreName;
  /** Of a running server; without it, one is started. */
  readonly address?: string;
  readonly partitions: number;
  /** In each partition. */
  readonly events: number;
  /** Milliseconds that a worker takes for one event. */
  readonly pace: number;
}

const count = (text: string): number => {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1)
    throw new InvalidArgumentError('It must be a whole number above 0.');
  return number;
};

export function settingsOf(argv: readonly string[]): Settings {
  const program = new Command('npm run partitions --')
    .description(
      'Workers share the partitions of a stream; one of them is killed, and its partitions go on elsewhere from their checkpoints.',
    )
    .allowExcessArguments(false)
    .addOption(
      new Option('--backend <name>', 'where the leases and the checkpoints live')
        .choices(STORES)
        .default('memory'),
    )
    .addOption(new Option('--address <host:port>', 'of a running server; without it, one is started'))
    .addOption(new Option('--partitions <number>', 'of the stream').argParser(count).default(8))
    .addOption(new Option('--events <number>', 'in each partition').argParser(count).default(400))
    .addOption(new Option('--pace <ms>', 'that a worker takes for an event').argParser(count).default(10))
    .parse(argv);
  const settings = program.opts<Settings>();
  if (settings.backend === 'memory' && settings.address !== undefined)
    program.error('--address goes with etcd, consul or postgres');
  return settings;
}
