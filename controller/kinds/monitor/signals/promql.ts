import { durationMs } from "../../../../schemas/common.ts";

/** `label="value"` as PromQL reads it. */
export function matcher(label: string, operator: "=" | "=~", value: string): string {
  return `${label}${operator}${JSON.stringify(value)}`;
}

/** A pattern (RE2) that fits a text and nothing else. */
export function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/** A duration as Prometheus takes it: there each unit stands once, the greater before the smaller. */
export function prometheusDuration(text: string): string {
  return /^(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$/.test(text) ? text : `${durationMs(text)}ms`;
}
