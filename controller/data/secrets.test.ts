import { expect, test } from "vitest";
import { findPii } from "./pii.ts";

/** Put together here, so that nobody who looks for keys finds any in this file. */
const letters = (length: number) => "aB3dE6gH9".repeat(Math.ceil(length / 9)).slice(0, length);
const capitals = (length: number) => letters(length).toUpperCase();
const begin = (type: string) => `-----${"BEGIN"} ${type}-----`;
const end = (type: string) => `-----${"END"} ${type}-----`;
const pem = (type: string, body = `${letters(64)}\n${letters(64)}==`) =>
  `${begin(type)}\n${body}\n${end(type)}`;
const jwt = `eyJ${letters(20)}.eyJ${letters(40)}.${letters(43)}`;

const found = (text: string) => findPii(text, ["key"]).map(({ start, end: to }) => text.slice(start, to));

test.each([
  ["OpenAI", `sk-proj-${letters(48)}`],
  ["Anthropic", `sk-ant-api03-${letters(40)}-${letters(20)}_AA`],
  ["Stripe, secret", `sk_live_${letters(24)}`],
  ["Stripe, restricted", `rk_live_${letters(99)}`],
  ...["ghp_", "gho_", "ghu_", "ghs_", "ghr_"].map((prefix) => [`GitHub, ${prefix}`, prefix + letters(36)]),
  ["GitHub, refresh of 76", `ghr_${letters(76)}`],
  ["GitHub, fine-grained", `github_pat_${letters(22)}_${letters(59)}`],
  ["GitLab", `glpat-${letters(9)}-_${letters(9)}`],
  ["GitLab, routable", `glpat-${letters(27)}.01${letters(7).toLowerCase()}`],
  ["GitLab, routable with a version", `glpat-${letters(27)}.01.1${letters(8).toLowerCase()}`],
  ...["xoxb", "xoxp", "xoxa", "xoxr", "xoxs", "xoxe", "xoxc"].map((type) => [
    `Slack, ${type}`,
    `${type}-123456789012-${letters(24)}`,
  ]),
  ["Slack, cookie", `xoxd-${letters(10)}%2B${letters(10)}%3D`],
  ["Slack, app", `xapp-1-A0${capitals(9)}-1234567890123-${letters(64)}`],
  ["AWS", `AKIA${capitals(16)}`],
  ["AWS, for a short time", `ASIA${capitals(16)}`],
  ["Google", `AIza${letters(33)}_-`],
  ["Hugging Face", `hf_${"abcdefgh".repeat(5).slice(0, 34)}`],
  ["JWT", jwt],
  ["PEM", pem("PRIVATE KEY")],
  ["PEM, encrypted", pem("ENCRYPTED PRIVATE KEY")],
  [
    "PEM, RSA with headers",
    pem("RSA PRIVATE KEY", `Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,AB-C\n\n${letters(64)}`),
  ],
  ["PEM, EC in one line of JSON", pem("EC PRIVATE KEY").replaceAll("\n", "\\n")],
  ["OpenSSH", pem("OPENSSH PRIVATE KEY", Array(50).fill(letters(70)).join("\r\n"))],
  ["OpenPGP", pem("PGP PRIVATE KEY BLOCK", `Version: 1\n\n${letters(64)}\n=aB3d`)],
])("%s", (_, key) => {
  expect(found(key)).toEqual([key]);
  expect(found(`KEY="${key}", and more.`)).toEqual([key]);
});

test.each([
  [
    "words with hyphens",
    "sk-learn-compatible-estimators, xoxb-is-a-prefix-of-slack, task-force-of-twenty-people",
  ],
  ["too short", `sk-${letters(19)} sk_live_${letters(15)} ghp_${letters(35)} glpat-${letters(19)}`],
  [
    "names of functions",
    "hf_hub_download_with_many_more_words_than_a_key_has(gh_pat, my_sk_live_test_of_all)",
  ],
  ["a key of Stripe for tests", `sk_test_${letters(24)}`],
  [
    "AWS in small letters, too long, in a word",
    `AKIA${letters(16)} AKIA${capitals(17)} XAKIA${capitals(16)}`,
  ],
  ["Google's, too long", `AIza${letters(36)}`],
  ["two parts of a JWT", jwt.split(".").slice(0, 2).join(".")],
  ["a public key", pem("PUBLIC KEY")],
  ["a certificate", pem("CERTIFICATE")],
  [
    "a private key that is not there",
    `${pem("PRIVATE KEY", "…")}\n${pem("PRIVATE KEY", "<paste the text of your own key between these two lines>")}`,
  ],
  [
    "a line of a private key",
    `a file that begins with ${begin("PRIVATE KEY")} and nothing behind ${letters(40)}`,
  ],
])("nothing: %s", (_, text) => {
  expect(found(text)).toEqual([]);
});

test.each([
  ["beginnings of private keys", begin("PRIVATE KEY"), 0],
  ["private keys that do not end", `${begin("PRIVATE KEY")}${letters(40_000)}`, 0],
  ["beginnings of JWTs", `eyJ${letters(11)}-`, 0],
  // Each three of them look like one.
  ["heads of JWTs", `eyJ${letters(11)}.`, 23_302],
  ["a word of many", "sk-a", 0],
  ["groups of addresses", "2001:db8:", 0],
  ["letters", "a", 0],
])("a long text comes to an end: %s", (_, part, expected) => {
  const text = part.repeat(Math.ceil((1 << 20) / part.length));
  // Were each beginning looked at up to the end, it would take minutes.
  expect(findPii(`${text} 1`, ["key", "ip"])).toHaveLength(expected);
});
