import type { Pricing } from "../../schemas/model-deployment.ts";
import type { TokenUsage } from "./model/types.ts";

/** Money in units of 10^-16 US dollars: a price has at most ten decimals and counts for a million tokens. */
export type Money = bigint;

const PRICE_DECIMALS = 10;
const MONEY_DECIMALS = PRICE_DECIMALS + 6;

/** What an answer costs, exactly; undefined when the price or the usage is unknown. */
export function costOf(usage: TokenUsage | undefined, pricing: Pricing | undefined): Money | undefined {
  if (!usage || !pricing) return undefined;
  return (
    BigInt(usage.promptTokens) * scaled(pricing.inputPerMillionTokens, PRICE_DECIMALS) +
    BigInt(usage.completionTokens) * scaled(pricing.outputPerMillionTokens, PRICE_DECIMALS)
  );
}

/** Reads a decimal such as `0.15` as an amount of US dollars. */
export function dollars(text: string): Money {
  return scaled(text, MONEY_DECIMALS);
}

/** US dollars as a decimal without superfluous zeros. */
export function formatMoney(money: Money): string {
  const digits = money.toString().padStart(MONEY_DECIMALS + 1, "0");
  const whole = digits.slice(0, -MONEY_DECIMALS);
  const fraction = digits.slice(-MONEY_DECIMALS).replace(/0+$/, "");
  return fraction === "" ? whole : `${whole}.${fraction}`;
}

/** US dollars as a float, for statistics only. */
export function toNumber(money: Money): number {
  return Number(money) / 10 ** MONEY_DECIMALS;
}

function scaled(text: string, decimals: number): bigint {
  const [whole = "0", fraction = ""] = text.split(".");
  return BigInt(whole + fraction.slice(0, decimals).padEnd(decimals, "0"));
}
