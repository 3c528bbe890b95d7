import type { MlflowServer } from "../mlflow-server.ts";
import { ALIAS } from "./chain-story.ts";

/** Tag by which the trainer says what a run and a version are of. */
export const REVISION = "slipway.revision";

type Tags = Readonly<Record<string, string>>;

/** What MLflow has of one revision of a FineTuneJob. */
export interface Registered {
  readonly revision: string;
  readonly runs: readonly { readonly id: string; readonly status: string; readonly tags: Tags }[];
  readonly versions: readonly {
    readonly version: string;
    readonly run: string;
    readonly source: string;
    readonly aliases: readonly string[];
    readonly tags: Tags;
  }[];
}

/** Everything in the experiment and the model of that name, in the order in which it was made. */
export async function registered(mlflow: MlflowServer, name: string): Promise<Registered[]> {
  const aliased = await mlflow.aliased(name, ALIAS);
  const runs = (await mlflow.runs(name)).map(({ info, data }) => ({
    ...{ id: info.run_id, status: info.status, tags: tagsOf(data.tags) },
  }));
  const versions = (await mlflow.versions(name)).map(({ version, run_id, source, tags }) => ({
    ...{ version, run: run_id, source, tags: tagsOf(tags) },
    aliases: version === aliased.version ? [ALIAS] : [],
  }));
  const inOrder = versions.toSorted((a, b) => Number(a.version) - Number(b.version));
  const ofOne = (revision: string | undefined) => (made: { tags: Tags }) => made.tags[REVISION] === revision;
  return [...new Set([...inOrder, ...runs].map(({ tags }) => tags[REVISION]))].map((revision) => ({
    revision: revision ?? "",
    runs: runs.filter(ofOne(revision)),
    versions: inOrder.filter(ofOne(revision)),
  }));
}

function tagsOf(tags: readonly { readonly key: string; readonly value: string }[] = []): Tags {
  return Object.fromEntries(tags.map(({ key, value }) => [key, value]));
}
