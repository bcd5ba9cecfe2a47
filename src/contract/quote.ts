/** Quotes a key for a message, in a form that shows what cannot be seen. */
export function quoteKey(key: unknown): string {
  const text = JSON.stringify(key) ?? String(key);
  return text.length > 120 ? `${text.slice(0, 117)}..."` : text;
}
