/** Write CSV (RFC 4180) that a spreadsheet takes for text. */

export function csvRow(values: readonly unknown[]): string {
  return `${values.map((value) => quoted(cell(value))).join(",")}\r\n`;
}

/**
 * Return a value as text, or as JSON. Text that a spreadsheet would take for a formula gets a quote in
 * front.
 */
function cell(value: unknown): string {
  const text = typeof value === "string" ? value : value == null ? "" : JSON.stringify(value);
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
