import { type Runtime, type Serving, weights } from "./types.ts";

const FOLDER = "/ollama";

/*
 * Image: https://docs.ollama.com/docker; 0.12.3 is sha256:c622a7adec67cf5bd7fe1802b7e26aa583a955a54e91d132889301f50c3e0bd0
 * It serves what was created, so the model is created when the server has started; then `ollama show` knows it.
 */
export const ollama: Runtime = {
  image: () => "docker.io/ollama/ollama:0.12.3",
  port: 11_434,
  // Answers as soon as the server runs: for liveness.
  healthPath: "/",
  command: ["/bin/sh", "-c"],
  // Commands: https://docs.ollama.com/cli; the model from files: https://docs.ollama.com/import
  args: ({ modelName }) => [
    [
      "ollama serve & server=$!",
      'trap "kill -TERM $server" TERM',
      "until ollama list >/dev/null 2>&1; do kill -0 $server || exit 1; sleep 1; done",
      'printf "%s" "$SLIPWAY_MODELFILE" > /tmp/Modelfile',
      `ollama create ${modelName} -f /tmp/Modelfile || exit 1`,
      // A signal ends the first wait, the server's end the second.
      "wait $server; wait $server",
    ].join("\n"),
  ],
  // OLLAMA_…: https://docs.ollama.com/faq
  env: (serving) => [
    { name: "OLLAMA_HOST", value: `0.0.0.0:${serving.port}` },
    { name: "OLLAMA_MODELS", value: FOLDER },
    // By default a model is unloaded after five minutes.
    { name: "OLLAMA_KEEP_ALIVE", value: "-1" },
    { name: "HOME", value: FOLDER },
    { name: "SLIPWAY_MODELFILE", value: modelfile(serving) },
  ],
  readyCommand: ({ modelName }) => ["ollama", "show", modelName],
  sharedMemory: false,
  scratch: FOLDER,
  reads: ["safetensors", "GGUF"],
  clientModel: ({ modelName }) => modelName,
  // What has no tag is `latest`.
  listedModel: ({ modelName }) => `${modelName}:latest`,
};

/** https://docs.ollama.com/modelfile: FROM and ADAPTER, each a GGUF file or a folder of safetensors. */
function modelfile(serving: Serving): string {
  const adapters = serving.adapters.map((adapter) => `ADAPTER ${weights(adapter)}\n`);
  return `FROM ${weights(serving)}\n${adapters.join("")}`;
}
