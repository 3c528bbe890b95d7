import { artifactManifest } from "../../../../schemas/artifact.ts";
import { SlipwayError } from "../../../errors.ts";
import type { Json } from "../../../graph/canonical.ts";
import { assertHostAllowed, type SecretReader } from "../../../kube/secrets.ts";
import type { EffectHandler } from "../../../runtime/kind.ts";
import type { BlobStore } from "../../../store/store.ts";
import type { Access, CancelInput, JobInput, SubmitInput } from "./inputs.ts";
import { Provider } from "./provider.ts";
import { assertFits, hostedRows } from "./rows.ts";

export interface HostedDependencies {
  readonly secrets: Pick<SecretReader, "read">;
  readonly blobs: Pick<BlobStore, "get">;
  /** For tests: see ProviderOptions. */
  readonly settleMs?: readonly number[];
}

export function hostedEffects(dependencies: HostedDependencies): Readonly<Record<string, EffectHandler>> {
  const provider = (access: Access, signal: AbortSignal) => providerOf(access, signal, dependencies);
  const on =
    (act: (provider: Provider, input: JobInput) => Promise<unknown>): EffectHandler =>
    async (value, { signal }) => {
      const input = value as unknown as JobInput;
      return (await act(await provider(input.access, signal), input)) as Json;
    };
  return {
    submit: async (value, { signal, recovered, attempt, progress }) => {
      const input = value as unknown as SubmitInput;
      const { access, marks, job } = input;
      const at = await provider(access, signal);
      // An earlier attempt may have made it without hearing so.
      const settle = recovered || attempt > 1;
      const [known] = (await at.find(marks, settle)).filter(({ status }) => status !== "cancelled");
      if (known) return known as unknown as Json;
      progress("the rows are uploaded");
      const trainingFile = await at.upload(...(await fileOf(input, input.split, dependencies)));
      const validationFile =
        input.validationSplit === undefined
          ? undefined
          : await at.upload(...(await fileOf(input, input.validationSplit, dependencies)));
      progress("the job is made");
      const made = { ...job, trainingFile, ...(validationFile === undefined ? {} : { validationFile }) };
      return (await at.findOrCreate(made, marks, false)) as unknown as Json;
    },
    poll: on((at, { id }) => at.retrieve(id)),
    pause: on((at, { id }) => at.pause(id)),
    resume: on((at, { id }) => at.resume(id)),
    cancel: async (value, { signal }) => {
      const { access, marks } = value as unknown as CancelInput;
      return { cancelled: await (await provider(access, signal)).cancel(marks, true) };
    },
  };
}

async function providerOf(
  { namespace, account, secretRef, baseURL }: Access,
  signal: AbortSignal,
  { secrets, settleMs }: HostedDependencies,
): Promise<Provider> {
  const secret = await secrets.read(namespace, secretRef.name, account, { signal });
  const name = `${namespace}/${secretRef.name}`;
  const apiKey = secret.data[secretRef.key]?.trim();
  if (!apiKey)
    throw new SlipwayError("SecretIncomplete", `Secret ${name} has no key ${secretRef.key}`, {
      hint: "add the key, or set spec.openai.secretRef.key",
    });
  assertHostAllowed(baseURL, secret, name);
  return new Provider({ baseURL, apiKey, signal, ...(settleMs ? { settleMs } : {}) });
}

/** Name and content of a split as a file of the provider. */
async function fileOf(
  { dataset, marks, job }: SubmitInput,
  split: string,
  { blobs }: HostedDependencies,
): Promise<[string, Buffer]> {
  const manifest = artifactManifest.parse(JSON.parse(new TextDecoder().decode(await blobs.get(dataset))));
  const path = `${split}.jsonl`;
  const file = manifest.files.find((each) => each.path === path);
  if (!file) {
    const has = manifest.files
      .filter((each) => each.path.endsWith(".jsonl"))
      .map((each) => each.path.slice(0, -6));
    throw new SlipwayError(
      "BadDataset",
      `the Dataset has no split ${split}; it has ${has.join(", ") || "none"}`,
    );
  }
  // Before it is read into memory.
  assertFits(path, file.bytes);
  const content = await hostedRows(path, await blobs.get(file.digest), job.method);
  return [`slipway-${marks.slipway_work.slice(0, 16)}-${path}`, content];
}
