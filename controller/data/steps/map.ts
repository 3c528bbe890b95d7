import type { DatasetStep } from "../../../schemas/dataset-steps.ts";
import { parseTemplate, type Template } from "../../template/parse.ts";
import { BadRecord, type RecordStep, type SourceRecord } from "./types.ts";

/**
 * Columns renamed, made from templates, and messages. All of it reads the record as it came, so that the order of
 * entries means nothing.
 * @throws SlipwayError of parseTemplate
 */
export function mapStep({
  sources,
  rename = [],
  set = [],
  messages,
}: NonNullable<DatasetStep["map"]>): RecordStep {
  const columns = set.map(({ field, template }) => ({ field, template: parseTemplate(template, field) }));
  const parts = messages?.map(({ role, template }, i) => ({
    role,
    template: parseTemplate(template, `messages[${i}]`),
  }));
  return (record, source) => {
    if (sources && !sources.includes(source)) return record;
    const made: Record<string, unknown> = { ...record };
    for (const { from, to } of rename) {
      if (!Object.hasOwn(record, from)) return new BadRecord(`the column ${from} is missing`);
      delete made[from];
      define(made, to, record[from]);
    }
    for (const { field, template } of columns) {
      const text = rendered(template, record);
      if (typeof text !== "string") return text;
      define(made, field, text);
    }
    if (parts) {
      const list: { role: string; content: string }[] = [];
      for (const { role, template } of parts) {
        const content = rendered(template, record);
        if (typeof content !== "string") return content;
        list.push({ role, content });
      }
      made.messages = list;
    }
    return made;
  };
}

/** Own property whatever its name: `__proto__` is a column like others. */
function define(record: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true });
}

function rendered({ parts }: Template, record: SourceRecord): string | BadRecord {
  let text = "";
  for (const part of parts) {
    if ("text" in part) {
      text += part.text;
      continue;
    }
    const value = Object.hasOwn(record, part.variable) ? record[part.variable] : undefined;
    if (value === undefined || value === null) return new BadRecord(`the column ${part.variable} is missing`);
    text += typeof value === "string" ? value : JSON.stringify(value);
  }
  return text;
}
