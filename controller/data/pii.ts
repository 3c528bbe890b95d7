import { isIPv6 } from "node:net";
import type { PiiKind } from "../../schemas/dataset-steps.ts";
import { privateKeys, tokens } from "./secrets.ts";

export interface PiiFinding {
  readonly kind: PiiKind;
  readonly start: number;
  readonly end: number;
}

/** What a kind looks like, and what tells it from what only looks so. */
interface Pattern {
  readonly pattern: RegExp;
  readonly holds?: (text: string) => boolean;
  /** False for a text that holds none for certain: most texts are done with at that. */
  readonly possible: (text: string, hasDigit: boolean) => boolean;
}

const withDigit = (_: string, hasDigit: boolean) => hasDigit;

const PATTERNS: readonly (Pattern & { readonly kind: PiiKind })[] = [
  // Keys before the rest: parts of them look like phone numbers.
  { kind: "key", ...privateKeys },
  { kind: "key", ...tokens },
  {
    kind: "email",
    possible: (text) => text.includes("@"),
    pattern: /[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b/g,
  },
  {
    kind: "iban",
    possible: withDigit,
    pattern: /\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{2,4}){3,8}\b/g,
    holds: isIban,
  },
  { kind: "card", possible: withDigit, pattern: /\b(?:[0-9][ -]?){12,18}[0-9]\b/g, holds: isCard },
  { kind: "ip", possible: withDigit, pattern: /\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b/g, holds: isIp },
  {
    // Global addresses, where a second group follows the first, local ones, and those of a network (RFC 4291, 4193).
    kind: "ip",
    possible: (text, hasDigit) => hasDigit && text.includes(":"),
    pattern:
      /(?<![\w:.])(?:[23][0-9a-f]{3}(?=:[0-9a-f])|f[cd][0-9a-f]{2}|fe[89ab][0-9a-f]|ff[0-9a-f]{2})(?:::?[0-9a-f]{1,4}){1,7}(?:::)?(?![\w]|:[\w:]|\.[0-9])/gi,
    holds: isIpv6,
  },
  {
    kind: "phone",
    possible: withDigit,
    pattern:
      /(?<![\w.+-])(?:\+[0-9]{1,3}[ .-]?)?(?:\([0-9]{1,5}\)[ .-]?)?[0-9]{2,14}(?:[ .-][0-9]{2,9}){0,4}(?![\w-])/g,
    holds: isPhone,
  },
];

/** Personal data and keys in a text, in order, without overlaps. */
export function findPii(text: string, kinds: readonly PiiKind[]): PiiFinding[] {
  // In the order of the text, kind by kind: a long row of nothing but addresses must not be compared all with all.
  let found: PiiFinding[] = [];
  const hasDigit = /[0-9]/.test(text);
  for (const { kind, pattern, holds, possible } of PATTERNS) {
    if (!possible(text, hasDigit)) continue;
    const more: PiiFinding[] = [];
    let next = 0;
    for (const match of text.matchAll(pattern)) {
      const start = match.index;
      const end = start + match[0].length;
      if (holds && !holds(match[0])) continue;
      while (next < found.length && found[next]!.end <= start) next++;
      if (next < found.length && found[next]!.start < end) continue;
      more.push({ kind, start, end });
    }
    if (more.length > 0) found = [...found, ...more].sort((a, b) => a.start - b.start);
  }
  return found.filter(({ kind }) => kinds.includes(kind));
}

/** The text with each finding replaced by its kind: `[EMAIL]`. */
export function redact(text: string, findings: readonly PiiFinding[]): string {
  let result = "";
  let at = 0;
  for (const { kind, start, end } of findings) {
    result += `${text.slice(at, start)}[${kind.toUpperCase()}]`;
    at = end;
  }
  return result + text.slice(at);
}

/** ISO 7064 mod 97-10, as ISO 13616 demands. */
function isIban(text: string): boolean {
  const compact = text.replaceAll(" ", "");
  if (compact.length < 15 || compact.length > 34) return false;
  const digits = (compact.slice(4) + compact.slice(0, 4)).replace(/[A-Z]/g, (letter) =>
    String(letter.charCodeAt(0) - 55),
  );
  let remainder = 0;
  for (const digit of digits) remainder = (remainder * 10 + Number(digit)) % 97;
  return remainder === 1;
}

/** Luhn's check digit (ISO/IEC 7812-1). */
function isCard(text: string): boolean {
  const digits = text.replace(/[ -]/g, "");
  if (digits.length < 13 || digits.length > 19 || /^0+$/.test(digits)) return false;
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

function isIp(text: string): boolean {
  const parts = text.split(".").map(Number);
  return parts.every((part) => part <= 255) && parts[0] !== 0 && parts[0] !== 127;
}

/** Eight groups of two digits are a hardware address (EUI-64) or the beginning of a fingerprint. */
function isIpv6(text: string): boolean {
  return isIPv6(text) && !/^..(?::..){7}$/.test(text);
}

/** E.164 numbers have 8 to 15 digits here; without + or a bracket a date or a version looks the same. */
function isPhone(text: string): boolean {
  const digits = text.replace(/\D/g, "").length;
  if (digits < 8 || digits > 15) return false;
  return (
    text.startsWith("+") ||
    text.includes("(") ||
    (/^0\d*[ .-]/.test(text) && !/^\d{1,4}[.-]\d{1,2}[.-]\d{1,4}$/.test(text))
  );
}
