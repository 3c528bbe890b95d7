import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { SlipwayError } from "../../errors.ts";

/** What the status of a ModelDeployment says of where it answers, and which revision does. */
export interface Served {
  readonly active: string;
  readonly endpoint: { readonly url: string; readonly model: string };
}

/** In none of the example's rows. */
export const TICKET = "The courier left my parcel at a wrong address, and nobody knows where it is.";

const TIMEOUT_MS = 60_000;

/**
 * What the trained model says of {@link TICKET}.
 * @param options.host the address of the endpoint's host
 * @param options.prompt the example's file with the prompt that it was trained on
 * @throws SlipwayError NoAnswer
 */
export async function askTopic(
  { url, model }: Served["endpoint"],
  { host, prompt, signal }: { readonly host: string; readonly prompt: string; readonly signal: AbortSignal },
): Promise<string> {
  const { spec } = parse(await readFile(prompt, "utf8")) as { spec: { messages: Message[] } };
  const messages = spec.messages.map(({ role, content }) => ({
    role,
    content: content.replace("{{ticket}}", TICKET),
  }));
  const address = new URL(`${url}/chat/completions`);
  address.hostname = host;
  const ask = async () => {
    const response = await fetch(address, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model, messages, temperature: 0, max_tokens: 4, stop: ["\n"] }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`status ${response.status}: ${text.slice(0, 500)}`);
    const { choices } = JSON.parse(text) as { choices: { message: { content: string } }[] };
    const topic = choices[0]?.message.content.trim();
    if (!topic) throw new Error(`no text in ${text.slice(0, 500)}`);
    return topic;
  };
  return ask().catch((cause: Error) => {
    signal.throwIfAborted();
    throw new SlipwayError("NoAnswer", `the model's Service, ${address}, gave no answer: ${cause.message}`, {
      cause,
      hint: "with --keep the cluster stays: kubectl get mdep,endpointslices, and kubectl logs of its pod",
    });
  });
}

interface Message {
  readonly role: string;
  readonly content: string;
}
