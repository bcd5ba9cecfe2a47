// Run as a process with `--experimental-vm-modules`: loads the built library into a context of its own, as Jest does with jsdom.
// Its classes are not those of Node, and some that Node has are missing there.
import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { pathToFileURL } from 'node:url';
import vm from 'node:vm';

const [entry] = process.argv.slice(2);

/** As that of jsdom: for Node it is no `AbortSignal`. */
const FOREIGN = `
  class AbortSignal extends EventTarget {
    aborted = false;
    reason = undefined;
    throwIfAborted() { if (this.aborted) throw this.reason; }
  }
  class AbortController {
    signal = new AbortSignal();
    abort(reason = new Error('This operation was aborted')) {
      if (this.signal.aborted) return;
      this.signal.aborted = true;
      this.signal.reason = reason;
      this.signal.dispatchEvent(new Event('abort'));
    }
  }
  Object.assign(globalThis, { AbortSignal, AbortController });
`;

const { process: _, ...globals } = {
  process,
  Buffer,
  console,
  performance,
  queueMicrotask,
  setTimeout,
  clearTimeout,
  setInterval,
  clearInterval,
  URL,
  Event,
  EventTarget,
};
const context = vm.createContext({ ...globals, process });
vm.runInContext(FOREIGN, context);

const modules = new Map();

async function outer(specifier) {
  const namespace = await import(specifier);
  const names = Object.keys(namespace);
  return new vm.SyntheticModule(
    names,
    function evaluate() {
      for (const name of names) this.setExport(name, namespace[name]);
    },
    { context, identifier: specifier },
  );
}

async function load(url) {
  const code = readFileSync(new URL(url), 'utf8');
  return new vm.SourceTextModule(code, { context, identifier: url });
}

function link(specifier, referrer) {
  const inner = specifier.startsWith('.') && !isBuiltin(specifier);
  const id = inner ? new URL(specifier, referrer.identifier).href : specifier;
  let module = modules.get(id);
  if (module === undefined) {
    module = inner ? load(id) : outer(id);
    modules.set(id, module);
  }
  return module;
}

const main = await load(pathToFileURL(entry).href);
await main.link(link);
await main.evaluate();
