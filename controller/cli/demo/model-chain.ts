import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LABEL_OWNER_UID } from "../../../schemas/kind.ts";
import { startCompanion } from "../../dev/companions.ts";
import { controllerImage } from "../../dev/images/controller-image.ts";
import { trainerImage } from "../../dev/images/trainer-image.ts";
import { WEIGHTS } from "../../dev/model/pins.ts";
import { ensureWeights } from "../../dev/model/weights.ts";
import { NODE_NAME } from "../../dev/node/config.ts";
import { importLayers } from "../../dev/node/node.ts";
import { SlipwayError } from "../../errors.ts";
import { firingAlert, startAlertmanager } from "./alertmanager.ts";
import { askTopic, type Served, TICKET } from "./ask-topic.ts";
import { isReady, type ShownObject } from "./cluster-view.ts";
import { followRepository } from "./follow.ts";
import { WorkingCopy } from "./gitea.ts";
import { meanwhile } from "./meanwhile.ts";
import type { Stage } from "./stage.ts";
import { waitFor } from "./wait.ts";

const EXAMPLE = join(import.meta.dirname, "..", "..", "..", "examples", "support-llm");
const REPOSITORY = "support-llm";
/** As the example names it; the hub of the demo serves the same weights under this name. */
const BASE_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct";
/** All objects of the chain have one name, apart from the Dataset. */
const NAME = "topic";
const DATASET = "tickets";

/** How many steps {@link playModelChain} shows. */
export const MODEL_CHAIN_STEPS = 11;

/** Threads of PyTorch that have nothing to do sleep instead of spinning: part of a revision, as memory is not. */
const ENVIRONMENT = `      env:
        - name: OMP_WAIT_POLICY
          value: passive
`;

const MINUTE = 60_000;

/** From training rows to an alert: prepared, trained, served, evaluated, let through, replaced, watched, and then broken. */
export async function playModelChain(stage: Stage): Promise<void> {
  const { screen, view, cluster, options, folder, slipway } = stage;
  const { signal } = options;
  const { node } = cluster;
  if (!node) throw new SlipwayError("NoNode", "the chain runs in pods, and the cluster has no node");
  const address = node.network.hostIP;
  const until = (
    kind: string,
    name: string,
    what: string,
    when: (object: ShownObject) => boolean,
    report: (message: string) => void,
    minutes: number,
  ) => view.until(kind, name, what, when, { report, signal, timeoutMs: minutes * MINUTE });

  await screen.step("images of the controller and the trainer, brought to the node", async (report) => {
    const controller = await controllerImage({ report, signal });
    const trainer = await trainerImage("torch", { report, signal });
    report("importing");
    for (const image of [controller, trainer]) await importLayers(node.pid, image);
  });
  const hub = await screen.step(`${BASE_MODEL} on a local hub`, async (report) => {
    const models = join(folder, "hub");
    await mkdir(models, { recursive: true });
    await cp(await ensureWeights({ report, signal }), join(models, WEIGHTS.file));
    const args = (port: number) => [
      ...["dev", "hub", "--host", address, "--port", String(port)],
      ...["--model", `${BASE_MODEL}=${models}`],
    ];
    const readyPath = `/api/models/${BASE_MODEL}`;
    return startCompanion({
      folder,
      name: "hub",
      command: slipway,
      args,
      readyPath,
      address,
      report,
      signal,
    });
  });
  const alerts = await screen.step("Alertmanager", (report) => startAlertmanager(folder, { report, signal }));
  const copy = await screen.step(
    `git push of examples/${REPOSITORY}; the rows are prepared`,
    async (report) => {
      const copy = await WorkingCopy.create(stage.forge, REPOSITORY, EXAMPLE, (clone) =>
        replaceAddresses(clone, { hub: hub.url, alertmanager: alerts.url }),
      );
      stage.cleanups.push(() => copy.remove());
      await followRepository(stage, REPOSITORY);
      await until("Dataset", DATASET, "Ready", isReady, report, 3);
      return copy;
    },
  );
  screen.show("$ kubectl get dset", await view.kubectl("get", "dset"));

  await screen.step("a LoRA adapter is trained on them, in a pod", (report) =>
    until("FineTuneJob", NAME, "Ready", isReady, report, 20),
  );
  screen.show("$ kubectl get ftj", await view.kubectl("get", "ftj"));

  await screen.step("it is served, evaluated, and let through by its gate", (report) =>
    until("ModelDeployment", NAME, "Ready", isReady, report, 20),
  );
  screen.show(
    "$ kubectl get mdep,evalsuite,evalrun",
    await view.kubectl("get", "modeldeployments,evalsuites,evalruns"),
  );
  screen.show(
    `$ slipway lineage ModelDeployment/${NAME}`,
    await view.slipway(slipway, "lineage", `ModelDeployment/${NAME}`),
  );

  const { endpoint, active: first } = (await view.get("ModelDeployment", NAME, signal)).status as Served;
  // This machine knows the cluster's addresses, and not its names.
  const host = await view.kubectl("get", "service", NAME, "-o", "jsonpath={.spec.clusterIP}");
  const ask = () => askTopic(endpoint, { host, prompt: join(EXAMPLE, "prompt.yaml"), signal });
  const topic = await screen.step(
    "its Service leads to it: a ticket is sent there, and its topic comes back",
    ask,
  );
  screen.show(`POST ${endpoint.url}/chat/completions: ${TICKET}`, topic);

  const moved = await screen.step(
    "git push of an environment variable: a second revision starts beside it, passes the gate, and takes the traffic",
    async (report) => {
      const model = await copy.read("model.yaml");
      await copy.replace(
        "model.yaml",
        model.replace("podTemplate:\n", `podTemplate:\n${ENVIRONMENT}`),
        "Let idle threads sleep",
      );
      const { result, times } = await meanwhile(
        ask,
        (either) =>
          view.until(
            "ModelDeployment",
            NAME,
            "at its second revision",
            (object) => isReady(object) && (object.status as Served).active !== first,
            { report, signal: either, timeoutMs: 20 * MINUTE },
          ),
        { signal, pauseMs: 1000 },
      );
      return { second: (result.status as Served).active, times };
    },
  );
  screen.show(
    `ModelDeployment ${NAME}: its Service moved`,
    `${first.slice(0, 12)} → ${moved.second.slice(0, 12)}; ${moved.times} tickets answered meanwhile, none lost`,
  );

  await screen.step("a Monitor asks it every few seconds: OK", (report) =>
    until("Monitor", NAME, "OK", (object) => stateOf(object) === "OK", report, 5),
  );
  const alert = await screen.step(
    "the pod is taken away and its node takes no other: the Monitor alerts",
    async (report) => {
      await view.kubectl("cordon", NODE_NAME);
      await view.kubectl("delete", "pods", "--selector", `${LABEL_OWNER_UID}=${await uidOf(stage)}`);
      await until("Monitor", NAME, "ALERT", (object) => stateOf(object) === "ALERT", report, 5);
      return waitFor("the alert at Alertmanager", () => firingAlert(alerts.url, NAME, signal), {
        signal,
        timeoutMs: MINUTE,
      });
    },
  );
  screen.show(`$ curl ${alerts.url}/api/v2/alerts`, alert);
  screen.show("$ kubectl get monitors", await view.kubectl("get", "monitors"));
  await screen.step("the node is back: the Monitor is OK again", async (report) => {
    await view.kubectl("uncordon", NODE_NAME);
    await until("Monitor", NAME, "OK", (object) => stateOf(object) === "OK", report, 10);
  });
}

const stateOf = ({ status }: ShownObject) => (status as { state?: string } | undefined)?.state;

async function uidOf({ view, options }: Stage): Promise<string> {
  return (await view.get("ModelDeployment", NAME, options.signal)).metadata.uid ?? "";
}

/** The example names the public hub and a service of the cluster; the demo has its own. */
async function replaceAddresses(
  clone: string,
  addresses: { readonly hub: string; readonly alertmanager: string },
): Promise<void> {
  for (const name of await readdir(clone)) {
    if (!name.endsWith(".yaml")) continue;
    const text = await readFile(join(clone, name), "utf8");
    await writeFile(
      join(clone, name),
      text
        .replace(
          `source: hf://${BASE_MODEL}\n`,
          `source: hf://${BASE_MODEL}\n    file: ${WEIGHTS.file}\n    endpoint: ${addresses.hub}\n`,
        )
        .replace("http://alertmanager.monitoring:9093", addresses.alertmanager),
    );
  }
}
