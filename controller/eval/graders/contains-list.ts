import type { Grader } from "./types.ts";
import { binary, listValue, quote } from "./values.ts";

export const containsAny: Grader = (input) => any(listValue(input), input.output);
export const icontainsAny: Grader = (input) => any(listValue(input).map(lower), lower(input.output));
export const containsAll: Grader = (input) => all(listValue(input), input.output);
export const icontainsAll: Grader = (input) => all(listValue(input).map(lower), lower(input.output));

function any(items: string[], output: string) {
  return binary(
    items.some((item) => output.includes(item)),
    `to contain one of ${quote(items.join(", "))}`,
  );
}

function all(items: string[], output: string) {
  const missing = items.filter((item) => !output.includes(item));
  const found = missing.length > 0 ? `${quote(missing.join(", "))} is missing` : undefined;
  return binary(missing.length === 0, `to contain all of ${quote(items.join(", "))}`, found);
}

function lower(text: string): string {
  return text.toLowerCase();
}
