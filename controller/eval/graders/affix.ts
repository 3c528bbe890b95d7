import type { Grader } from "./types.ts";
import { binary, quote, textValue } from "./values.ts";

export const startsWith: Grader = (input) => {
  const text = textValue(input);
  return binary(input.output.startsWith(text), `to start with ${quote(text)}`);
};

export const endsWith: Grader = (input) => {
  const text = textValue(input);
  return binary(input.output.endsWith(text), `to end with ${quote(text)}`);
};
