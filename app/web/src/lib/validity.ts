// What a browser says of a field that is left out or wrong, in the page's language instead of the browser's.

type Checked = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

export function sayInEnglish(root: Document): void {
  const field = ({ target }: Event): Checked | null => (target instanceof HTMLElement && "setCustomValidity" in target ? (target as Checked) : null);
  root.addEventListener("invalid", (event) => field(event)?.setCustomValidity(said(field(event)!)), true);
  root.addEventListener("input", (event) => field(event)?.setCustomValidity(""), true);
}

function said(field: Checked): string {
  field.setCustomValidity("");
  const { validity } = field;
  if (validity.valid) return "";
  if (validity.valueMissing) return "Fill in this field.";
  const { min, max, step } = field as HTMLInputElement;
  if (validity.badInput || validity.stepMismatch) return step === "any" ? "Enter a number." : "Enter a whole number.";
  if (validity.rangeUnderflow || validity.rangeOverflow) return `Enter a number from ${min} to ${max}.`;
  return "Check this value.";
}
