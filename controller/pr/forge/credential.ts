import { SlipwayError } from "../../errors.ts";

/**
 * A token fit for a header. A line end after it is common in Secrets; anything else odd is refused here,
 * because the error for a bad header repeats its value.
 * @throws SlipwayError ForgeUnauthorized
 */
export function cleanToken(token: string): string {
  const clean = token.trim();
  if (/^[\x21-\x7e]+$/.test(clean)) return clean;
  throw new SlipwayError(
    "ForgeUnauthorized",
    "The forge's token is empty or no single line of plain characters.",
    {
      hint: "Write the bare token into the Secret.",
    },
  );
}
