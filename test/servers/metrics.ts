/** One line of the Prometheus text exposition. */
export interface MetricSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const SPECIAL: Readonly<Record<string, number>> = { '+Inf': Infinity, '-Inf': -Infinity };
const ESCAPES: Readonly<Record<string, string>> = { '\\n': '\n', '\\"': '"', '\\\\': '\\' };

/** Parses the text exposition format; comments and blank lines are skipped. */
export function parseMetrics(text: string): MetricSample[] {
  return text.split('\n').flatMap((raw) => {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) return [];
    const [, name, labels = '', value] = SAMPLE.exec(line) ?? [];
    if (name === undefined || value === undefined) throw new Error(`Not a metric: ${line}`);
    return [{ name, labels: parseLabels(labels), value: SPECIAL[value] ?? Number(value) }];
  });
}

/**
 * The sum over the series of exactly this name that have at least these labels. Throws if there is none, because a
 * misspelt name must not read as zero.
 */
export function sumMetric(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const matching = parseMetrics(text).filter(
    (sample) =>
      sample.name === name &&
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
  if (matching.length === 0) throw new Error(`No metric ${name} with labels ${JSON.stringify(labels)}.`);
  return matching.reduce((sum, sample) => sum + sample.value, 0);
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [, name = '', value = ''] of text.matchAll(LABEL)) {
    labels[name] = value.replace(/\\[n"\\]/g, (escaped) => ESCAPES[escaped] ?? escaped);
  }
  return labels;
}
