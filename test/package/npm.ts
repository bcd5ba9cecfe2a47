import { type RunResult, run } from '../servers/run.ts';

const TIMEOUT = 240_000;

/** What is kept already is not asked for again, and nothing is reported to anybody. */
const SETTINGS = {
  npm_config_prefer_offline: 'true',
  npm_config_audit: 'false',
  npm_config_fund: 'false',
  npm_config_update_notifier: 'false',
};

const UNREACHABLE = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|ETIMEDOUT|ERR_SOCKET_TIMEOUT/;

/**
 * Runs `npm install` in a folder, and once more if it failed: a registry may be out of reach for a moment. Rejects with one
 * sentence.
 */
export async function npmInstall(cwd: string, packages: readonly string[]): Promise<RunResult> {
  // Without the prefix npm takes the next folder above that has a package.json.
  const args = ['install', '--prefix', cwd, ...packages];
  const install = () => run('npm', args, { cwd, timeout: TIMEOUT, env: SETTINGS });
  const first = await install();
  const result = first.code === 0 ? first : await install();
  if (result.code === 0) return result;
  throw new Error(`${packages.join(' ')} could not be installed: ${reasonOf(result)}.`);
}

/** Of a failed install, in a few words. */
export function reasonOf({ code, stderr }: Pick<RunResult, 'code' | 'stderr'>): string {
  const unreachable = UNREACHABLE.exec(stderr);
  if (unreachable) return `the npm registry cannot be reached (${unreachable[0]})`;
  if (code === null) return `npm did not end within ${TIMEOUT / 1_000} s`;
  const lines = [...stderr.matchAll(/^npm (?:error|ERR!) (.+)$/gm)].map(([, line]) => line);
  return lines.find((line) => !line?.startsWith('code ')) ?? `npm ended with ${code}`;
}
