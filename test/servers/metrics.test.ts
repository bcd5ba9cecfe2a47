import { describe, expect, it } from 'vitest';
import { parseMetrics, sumMetric } from './metrics.ts';

describe('the text exposition format', () => {
  it.each<[string, ReturnType<typeof parseMetrics>]>([
    ['# HELP a b\n# TYPE a counter\n\na 1\n', [{ name: 'a', labels: {}, value: 1 }]],
    ['a{} 1.5e+06 1700000000000', [{ name: 'a', labels: {}, value: 1_500_000 }]],
    ['a{b="c",d="e"} +Inf', [{ name: 'a', labels: { b: 'c', d: 'e' }, value: Number.POSITIVE_INFINITY }]],
    ['a{b="},\\"\\\\n\\n"} 2', [{ name: 'a', labels: { b: '},"\\n\n' }, value: 2 }]],
  ])('%j', (text, expected) => {
    expect(parseMetrics(text)).toEqual(expected);
  });

  it('rejects what is none', () => {
    expect(() => parseMetrics('<html>')).toThrow('Not a metric: <html>');
  });
});

it('sums the series of exactly this name that have these labels', () => {
  const text = 'a{b="1",c="x"} 1\na{b="2",c="x"} 2\na{b="1",c="y"} 4\na_total{b="1"} 8\n';
  expect(sumMetric(text, 'a')).toBe(7);
  expect(sumMetric(text, 'a', { b: '1' })).toBe(5);
  expect(sumMetric(text, 'a', { b: '1', c: 'y' })).toBe(4);
  expect(() => sumMetric(text, 'a', { b: '3' })).toThrow('No metric a with labels {"b":"3"}.');
});
