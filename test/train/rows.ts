/*
 * Training rows for examples/support-llm: support tickets with their topic, from templates and a seeded generator,
 * so that the file can be made again byte by byte. Texts differ from the cases of examples/support-triage; a test
 * looks for common 8-grams.
 *
 * node test/train/rows.ts > examples/support-llm/data/train.jsonl
 */
import { pathToFileURL } from "node:url";

export const SYSTEM =
  "Name the topic of the support ticket in one word: money, software, password or delivery.";

export interface ChatRow {
  readonly messages: readonly { readonly role: "system" | "user" | "assistant"; readonly content: string }[];
}

export function ask(ticket: string): ChatRow["messages"] {
  return [
    { role: "system", content: SYSTEM },
    { role: "user", content: `Ticket: ${ticket}\nTopic:` },
  ];
}

/** Words that stand for `{name}` in the templates. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  amount: ["12 euros", "75 dollars", "140 pounds", "19.90", "two hundred francs", "1,050 euros"],
  month: ["January", "spring", "the last quarter", "August", "the trial month", "December"],
  plan: ["team plan", "starter package", "premium tier", "annual subscription", "basic contract", "add-on"],
  paper: ["credit note", "statement", "invoice", "billing summary", "receipt", "payment reminder"],
  means: ["PayPal", "direct debit", "our company card", "a gift card", "cheque", "Apple Pay"],
  screen: ["dashboard", "settings page", "report view", "editor", "start screen", "chat window"],
  device: ["iPad", "Linux laptop", "old Samsung phone", "MacBook", "Chromebook", "work computer"],
  feature: [
    "spell checker",
    "file preview",
    "drag and drop",
    "CSV import",
    "voice recording",
    "offline mode",
  ],
  fault: [
    "shows a stack trace",
    "closes itself",
    "stays grey",
    "loops forever",
    "loses my text",
    "reports error 403",
  ],
  since: [
    "since Tuesday",
    "after version 8.2",
    "for two weeks",
    "again today",
    "ever since the migration",
    "every evening",
  ],
  who: [
    "a new trainee",
    "our contractor",
    "my daughter",
    "the external auditor",
    "my deputy",
    "a former manager",
  ],
  right: [
    "read the archive",
    "approve requests",
    "edit the team list",
    "see the reports",
    "invite guests",
    "manage the keys",
  ],
  factor: [
    "authenticator app",
    "one-time code",
    "recovery key",
    "fingerprint",
    "security question",
    "hardware token",
  ],
  detail: ["phone number", "date of birth", "display name", "contact address", "username", "second email"],
  goods: [
    "bookshelf",
    "coffee machine",
    "winter coat",
    "printer cartridges",
    "bicycle helmet",
    "garden table",
    "headphones",
    "plates",
  ],
  place: [
    "Portugal",
    "a parcel locker",
    "the ground floor",
    "my sister's flat",
    "Ireland",
    "our branch in Graz",
  ],
  carrier: ["postman", "delivery van", "freight company", "driver", "courier service", "carrier"],
  harm: ["scratched", "soaked", "bent", "without its lid", "in pieces", "half empty"],
  days: ["three days", "a fortnight", "five weeks", "since Monday", "eight days", "a whole month"],
};

const TEMPLATES: Readonly<Record<string, readonly string[]>> = {
  money: [
    "The {paper} for {month} lists {amount} that nobody here ordered.",
    "Is there a rebate if we take the {plan} for three years?",
    "I paid {amount} with {means}, but your system says nothing came in.",
    "Please correct the {paper}: the sum should be {amount}.",
    "You debited {amount} twice in {month}.",
    "When do I get the {amount} back that you owe me for the {plan}?",
    "Can you accept {means} for the {plan}?",
    "What does the {plan} cost after {month}?",
    "Our accountant needs a {paper} with the VAT shown apart.",
    "I would like a refund of {amount}, the {plan} was cancelled in {month}.",
    "Why is the {plan} suddenly {amount} more expensive?",
    "The discount of {amount} is missing from my {paper}.",
    "Send the {paper} to our bookkeeping, they cannot pay without it.",
    "We were charged for the {plan} although we downgraded in {month}.",
    "My bank refuses the debit of {amount}, can I use {means}?",
    "Could we pay the {paper} in instalments?",
    "The cart on my {device} took {amount} two times, return one of them.",
    "My {goods} went back in {month}, the refund of {amount} is still open.",
    "I was made to pay customs of {amount} for the {goods}, please reimburse it.",
    "You bill us for {who}, who left in {month}.",
    "The shipping surcharge of {amount} should be credited, the {goods} came late.",
  ],
  software: [
    "The {screen} {fault} {since}.",
    "On my {device} the {screen} {fault}.",
    "The {feature} does not work on my {device}.",
    "{since}, the {feature} {fault}.",
    "Your {screen} is terribly slow {since}.",
    "I click on {feature} and nothing happens.",
    "The {feature} broke with the new release, it {fault}.",
    "There is a bug in the {screen}: the {feature} {fault}.",
    "The app on my {device} freezes when I use the {feature}.",
    "Your API answers 502 {since}.",
    "The {screen} shows last year's data on my {device}.",
    "Text in the {screen} overlaps on a {device}.",
    "The desktop client cannot be installed on my {device}.",
    "The {feature} eats all memory of my {device}.",
    "Scrolling in the {screen} stutters {since}.",
    "The {paper} screen {fault} when I open it on my {device}.",
    "The tracking map {fault} on my {device}.",
    "The sign-in form {fault} on a {device}, for all of us.",
    "The order form {fault} {since}, no browser helps.",
    "The price calculator {fault} when I choose the {plan}.",
  ],
  password: [
    "I cannot sign in, my {factor} is refused.",
    "Please reset the {factor} of my profile.",
    "How can I change the {detail} in my profile?",
    "{who} should be allowed to {right}.",
    "Take the right to {right} away from {who}.",
    "I lost my {factor} and now I am locked out.",
    "My account was blocked {since}, please unlock it.",
    "Somebody changed the {detail} of my account, it was not me.",
    "Please create a login for {who}.",
    "I want to delete my account and everything you know about me.",
    "The {factor} that you send does not reach me.",
    "Is it possible to log in with a {factor}?",
    "My user name is wrong, it shows the {detail} of {who}.",
    "The link for a new password is not valid any more.",
    "{who} still has access to our account, remove it.",
    "I do not remember which {detail} I registered with.",
    "Who in our company may {right}? I need that permission.",
    "Let {who} see our {paper} list, only I can open it.",
    "I get signed out of my account all the time and must enter the {factor}.",
    "Move the licence of the {plan} to the account of {who}.",
    "Your app says my account does not exist, though I registered in {month}.",
  ],
  delivery: [
    "The {goods} came {harm}.",
    "I have been waiting for my {goods} for {days}.",
    "Do you also ship to {place}?",
    "The {carrier} did not ring and took the {goods} away again.",
    "Please bring the {goods} to {place} instead.",
    "My order of {goods} was sent to {place} by mistake.",
    "The shipment has not moved for {days}.",
    "Instead of {goods} I got {goods}.",
    "Half of my order is missing, only the {goods} came.",
    "How do I send the {goods} back?",
    "When does the {carrier} come with the {goods}?",
    "The parcel with the {goods} lies at {place} and I cannot get there.",
    "Can you send the {goods} a week later?",
    "The {carrier} threw the parcel over the fence, the {goods} are {harm}.",
    "According to your site the {goods} were handed over, I have nothing.",
    "Is it possible to collect the {goods} myself at {place}?",
    "I gave a wrong house number for the {goods}, can you still change it?",
    "I paid {amount} for the {goods} and only one of two boxes came.",
    "Your app says that the {goods} are here, they are not.",
    "The package with the {goods} was returned to sender after {days}.",
    "Please give me a label, the {goods} do not fit and go back.",
  ],
};

const OPENERS = ["", "", "", "Hello, ", "Hi, ", "Dear team, ", "Urgent: "];
const CLOSERS = ["", "", "", " Please help.", " Thanks!", " What can I do?"];

/** Numbers in [0, 1): mulberry32, public domain by Tommy Ettinger. */
function random(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** As many different tickets of each topic as asked for, in an order mixed by topic. */
export function makeRows(perTopic: number, seed = 7): ChatRow[] {
  const next = random(seed);
  const pick = (from: readonly string[]) => from[Math.floor(next() * from.length)]!;
  const seen = new Set<string>();
  const rows: ChatRow[] = [];
  for (let i = 0; i < perTopic; i++) {
    for (const [topic, templates] of Object.entries(TEMPLATES)) {
      let ticket: string;
      do {
        const template = templates[i % templates.length]!;
        const body = template.replace(/\{(\w+)\}/g, (_, name: string) => pick(WORDS[name]!));
        const opener = pick(OPENERS);
        const text = opener.endsWith(", ") ? body : body.charAt(0).toUpperCase() + body.slice(1);
        ticket = opener + text + pick(CLOSERS);
      } while (seen.has(ticket));
      seen.add(ticket);
      rows.push({ messages: [...ask(ticket), { role: "assistant", content: topic }] });
    }
  }
  return rows;
}

export function toJsonLines(rows: readonly object[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.stdout.write(toJsonLines(makeRows(110)));
}
