import { z } from "zod";
import { decimal } from "./common.ts";

export const pricing = z
  .strictObject({
    inputPerMillionTokens: decimal.describe("US dollars for a million prompt tokens."),
    outputPerMillionTokens: decimal.describe("US dollars for a million completion tokens."),
  })
  .describe("Without it the cost of a call is unknown and shown as such.");
export type Pricing = z.infer<typeof pricing>;
