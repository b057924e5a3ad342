// A sheet of rejected rows. What a spreadsheet would run as a formula gets an apostrophe before it. Pure.

export interface Reject {
  lineNumber: number;
  column?: string | null;
  code: string;
  message: string;
  row: string;
}

const FORMULA = /^'*[=+\-@\t\r]/;

export function sheet(rejects: readonly Reject[]): string {
  const lines = rejects.map((reject) => [
    String(reject.lineNumber),
    ...[reject.column ?? "", reject.code, reject.message, reject.row].map(neutral),
  ]);
  return [["line_number", "column", "code", "message", "row"], ...lines].map((line) => line.map(cell).join(",") + "\r\n").join("");
}

function neutral(text: string): string {
  return FORMULA.test(text) ? `'${text}` : text;
}

function cell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
