import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../servers/run.ts';

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

/** A folder of throw-away certificates, made by the program `openssl`. */
export class Certificates implements AsyncDisposable {
  readonly #folder: string;
  #count = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async create(): Promise<Certificates> {
    return new Certificates(await mkdtemp(join(tmpdir(), 'holdfast-certificates-')));
  }

  authority(): Promise<Certificate> {
    return this.#make('basicConstraints=critical,CA:TRUE', 2);
  }

  /** `subjectAltName` in OpenSSL's form, such as `IP:127.0.0.1`. With a negative number of days it has expired. */
  issue(by: Certificate, subjectAltName: string, days = 2): Promise<Certificate> {
    const extensions = `subjectAltName=${subjectAltName}\nextendedKeyUsage=serverAuth,clientAuth`;
    return this.#make(extensions, days, by);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #make(extensions: string, days: number, by?: Certificate): Promise<Certificate> {
    const name = join(this.#folder, `${++this.#count}`);
    const certFile = `${name}.crt`;
    const keyFile = `${name}.key`;
    const request = `${name}.csr`;
    const extensionsFile = `${name}.ext`;
    await writeFile(extensionsFile, `${extensions}\n`);
    const subject = ['-subj', `/CN=holdfast test ${this.#count}`];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile];
    await openssl(['req', '-new', ...subject, ...key, '-out', request]);
    const signer = by === undefined ? ['-signkey', keyFile] : ['-CA', by.certFile, '-CAkey', by.keyFile];
    const content = ['-set_serial', `${this.#count}`, '-days', `${days}`, '-extfile', extensionsFile];
    await openssl(['x509', '-req', '-in', request, ...signer, ...content, '-out', certFile]);
    return {
      certFile,
      keyFile,
      cert: await readFile(certFile, 'utf8'),
      key: await readFile(keyFile, 'utf8'),
    };
  }
}

async function openssl(args: readonly string[]): Promise<void> {
  const { code, stderr } = await run('openssl', args).catch((cause: unknown) => {
    throw new Error('The TLS tests need the program `openssl` on PATH, to make certificates.', { cause });
  });
  if (code !== 0) throw new Error(`openssl ${args.join(' ')} failed: ${stderr}`);
}
