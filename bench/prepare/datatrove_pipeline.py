"""Near-duplicates and personal data by datatrove in one process: datatrove_pipeline.py FILE FOLDER.

As its example minhash_deduplication.py has it, with its own defaults but for 5-grams; emails and IP addresses are all
that its formatter replaces. Prints seconds and rows as one line of JSON.
"""

import json
import os
import sys
import time

from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.formatters import PIIFormatter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers.jsonl import JsonlWriter
from datatrove.utils.typeshelper import Languages


def adapter(self, data, path, id_in_file):  # noqa: ANN001, ANN201 - the signature that datatrove calls
    return {"text": f"{data['prompt']}\n{data['completion']}", "id": f"{path}/{id_in_file}", "metadata": {}}


def main() -> None:
    file, folder = sys.argv[1], sys.argv[2]
    config = MinhashConfig(n_grams=5)

    def reader() -> JsonlReader:
        return JsonlReader(os.path.dirname(file), glob_pattern=os.path.basename(file), adapter=adapter)

    def at(name: str) -> str:
        return os.path.join(folder, name)

    pipelines = [
        [reader(), MinhashDedupSignature(at("signatures"), config, language=Languages.english)],
        [MinhashDedupBuckets(at("signatures"), at("buckets"), config=config)],
        [MinhashDedupCluster(at("buckets"), at("remove"), config=config)],
        [
            reader(),
            MinhashDedupFilter(at("remove")),
            PIIFormatter(),
            JsonlWriter(at("out"), compression=None),
        ],
    ]
    started = time.perf_counter()
    for number, pipeline in enumerate(pipelines):
        tasks = config.num_buckets if number == 1 else 1
        logs = at(f"logs{number}")
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=logs, skip_completed=False).run()
    seconds = time.perf_counter() - started
    rows = 0
    for name in os.listdir(at("out")):
        with open(os.path.join(at("out"), name), encoding="utf-8") as lines:
            rows += sum(1 for _ in lines)
    print(json.dumps({"seconds": seconds, "rows": rows}))


if __name__ == "__main__":
    main()
