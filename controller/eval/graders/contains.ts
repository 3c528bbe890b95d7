import type { Grader } from "./types.ts";
import { binary, quote, textValue } from "./values.ts";

export const contains: Grader = (input) => {
  const text = textValue(input);
  return binary(input.output.includes(text), `to contain ${quote(text)}`);
};

/** Ignores the difference between upper and lower case. */
export const icontains: Grader = (input) => {
  const text = textValue(input);
  return binary(
    input.output.toLowerCase().includes(text.toLowerCase()),
    `to contain ${quote(text)} in any case`,
  );
};
