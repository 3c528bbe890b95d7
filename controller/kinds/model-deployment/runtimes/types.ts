/** What a runtime serves, with everything where it lies in the container. */
export interface Serving {
  /** The name that clients use. */
  readonly modelName: string;
  /** Folder of the model; absent where a Custom image brings its own. */
  readonly folder?: string;
  /** The one file in the folder that counts, such as a GGUF file. */
  readonly file?: string;
  readonly adapters: readonly PlacedAdapter[];
  /** `adapters[0]` is not one among several: it is the model, and the base is served for it alone. */
  readonly adapted: boolean;
  /** GPUs of a replica; 0 runs on the CPU. */
  readonly gpus: number;
  readonly port: number;
}

export interface PlacedAdapter {
  readonly name: string;
  readonly folder: string;
  readonly file?: string;
  /** Where it is known. */
  readonly rank?: number;
}

export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: Readonly<Record<string, unknown>>;
}

/** One server program, as its documentation describes it. Pure: the same serving gives the same container. */
export interface Runtime {
  readonly image: (serving: Pick<Serving, "gpus">) => string;
  /** Its own image is a build for GPUs alone. */
  readonly needsGpu?: true;
  readonly port: number;
  /** Answers 200 once requests can be answered. */
  readonly healthPath: string;
  readonly command: readonly string[];
  readonly args: (serving: Serving) => string[];
  readonly env?: (serving: Serving) => EnvVar[];
  /** Asked in place of `healthPath` where that answers before the model is there. */
  readonly readyCommand?: (serving: Serving) => string[];
  /** Processes of one replica talk through /dev/shm, of which containers have 64 MiB. */
  readonly sharedMemory: boolean;
  readonly metricsPath?: string;
  /** Forms of weights that it loads. */
  readonly reads: readonly ("safetensors" | "GGUF")[];
  /** The greatest rank of an adapter that it can load, where there is one. */
  readonly maxRank?: number;
  /** Written to, besides /tmp. */
  readonly scratch?: string;
  /** What clients write as `model`. */
  readonly clientModel: (serving: Serving) => string;
  /** What /v1/models lists when the model is there. */
  readonly listedModel: (serving: Serving) => string;
  /** A model that it must refuse; where it does not, the base answers under the name of each adapter. */
  readonly absentModel?: (serving: Serving) => string | undefined;
}

/** The base's own name: the adapter has taken the deployment's. */
export function baseName({ modelName, adapted }: Serving): string {
  return adapted ? `${modelName}-base` : modelName;
}

/** Where the weights are: the file where one was named, else the folder. */
export function weights({ folder = "", file }: Pick<Serving, "folder" | "file">): string {
  return file === undefined ? folder : `${folder}/${file}`;
}

/** The adapters as clients name them; the one that is the model has the deployment's name. */
export function namedAdapters({ adapters, adapted, modelName }: Serving): PlacedAdapter[] {
  return adapters.map((adapter, i) => (adapted && i === 0 ? { ...adapter, name: modelName } : adapter));
}
