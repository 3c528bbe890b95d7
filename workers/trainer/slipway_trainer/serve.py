"""`python -m slipway_trainer.serve FOLDER`: transformers' own server for one model that lies in a folder.

What it adds to `transformers serve`: a LoRA adapter on the base, a name of one's own for the model, metrics, and no
routes that load other models.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from .base_model import LocalBase, as_safetensors
from .errors import TrainError, explain

TERMINATION_LOG = Path("/dev/termination-log")


def main(argv: list[str] | None = None) -> int:
    arguments = _parse(argv)
    # The folder is all there is: nothing is fetched that nobody pinned.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        app = build_app(
            Path(arguments.model),
            name=arguments.model_name or Path(arguments.model).name,
            adapter=Path(arguments.adapter) if arguments.adapter else None,
            gguf=arguments.file,
            dtype=arguments.dtype,
            device=arguments.device,
        )
    except Exception as caught:
        error = _explained(caught, arguments.model)
        if error.code == "InternalError":
            sys.excepthook(type(caught), caught, caught.__traceback__)
        print(f"{error.code}: {error.message}", file=sys.stderr, flush=True)
        try:
            if TERMINATION_LOG.exists():
                TERMINATION_LOG.write_text(f"{error.code}: {error.message[:2000]}")
        except OSError:
            pass
        return error.exit_status
    import uvicorn

    # At SIGTERM it accepts nothing new and ends when the last answer was sent.
    uvicorn.run(app, host=arguments.host, port=arguments.port, log_level="info", timeout_keep_alive=75)
    return 0


def build_app(
    folder: Path,
    *,
    name: str,
    adapter: Path | None = None,
    gguf: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
) -> Any:
    """The ASGI app. The model is loaded when this returns. @raises TrainError UnknownBaseModel"""
    from transformers.cli.serving.chat_completion import ChatCompletionHandler
    from transformers.cli.serving.completion import CompletionHandler
    from transformers.cli.serving.model_manager import ModelManager
    from transformers.cli.serving.server import build_server
    from transformers.cli.serving.utils import GenerateManager, GenerationState

    from .serve_metrics import Measured, ServeMetrics, TokenWatch, measured_work

    metrics = ServeMetrics(name)
    model, tokenizer = load(folder, adapter=adapter, gguf=gguf, dtype=dtype, device=device)
    plain_generate = model.generate

    def generate(**arguments: Any) -> Any:
        from transformers import StoppingCriteriaList

        return plain_generate(**arguments, stopping_criteria=StoppingCriteriaList([TokenWatch(metrics)]))

    model.generate = generate

    class OneModel(ModelManager):  # type: ignore[misc]
        """Always the model that was loaded, under our name for it."""

        def load_model_and_processor(self, *_: Any, **__: Any) -> tuple[Any, Any]:
            return model, tokenizer

        @staticmethod
        def process_model_name(model_id: str) -> str:
            return model_id

        @staticmethod
        def get_gen_models(cache_dir: str | None = None) -> list[dict[str, Any]]:
            return [{"id": name, "object": "model", "created": 0, "owned_by": "slipway"}]

    class MeasuredGenerate(GenerateManager):  # type: ignore[misc]
        def submit(self, work: Any, *args: Any, **kwargs: Any) -> Any:
            return super().submit(measured_work(metrics, work), *args, **kwargs)

        def async_submit(self, work: Any, *args: Any, **kwargs: Any) -> Any:
            return super().async_submit(measured_work(metrics, work), *args, **kwargs)

    manager = OneModel(device=device, model_timeout=-1)
    # Another name than ours is refused, not answered by whatever is here.
    manager.force_model = name
    state = GenerationState()
    generating = MeasuredGenerate()
    state.get_manager = lambda *_, **__: generating
    shared = {"model_manager": manager, "generation_state": state}
    app = build_server(
        manager,
        ChatCompletionHandler(**shared),
        completion_handler=CompletionHandler(**shared),
        response_handler=None,
        transcription_handler=None,
        systemone_handler=None,
        generation_state=state,
    )
    return Measured(app, metrics)


def load(folder: Path, *, adapter: Path | None, gguf: str | None, dtype: str, device: str) -> tuple[Any, Any]:
    """(model, tokenizer); an adapter's weights are added to the base's, which costs nothing at each token."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _check(folder, gguf)
    if gguf is not None:
        scratch = Path(tempfile.mkdtemp(prefix="slipway-serve-"))
        folder = as_safetensors(LocalBase(folder, gguf, "", folder.name), scratch)
    # Training may have added a chat template or tokens.
    tokens = adapter if adapter is not None and (adapter / "tokenizer_config.json").exists() else folder
    tokenizer: Any = AutoTokenizer.from_pretrained(tokens)
    if tokenizer.chat_template is None:
        raise TrainError(
            "UnknownBaseModel",
            f"{tokens} has no chat template, without which messages cannot be given to the model; "
            "use an instruction-tuned model, or add chat_template.jinja",
        )
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, device_map=device)
    if adapter is not None:
        model = _with_adapter(model, adapter)
    return model.eval(), tokenizer


def _with_adapter(model: Any, adapter: Path) -> Any:
    from peft import PeftModel

    if not (adapter / "adapter_config.json").is_file():
        present = ", ".join(sorted(path.name for path in adapter.glob("*"))[:20]) or "nothing"
        raise TrainError("UnknownBaseModel", f"{adapter} holds no adapter_config.json; it holds {present}")
    try:
        return PeftModel.from_pretrained(model, adapter).merge_and_unload()
    except (RuntimeError, ValueError, KeyError) as error:
        raise TrainError(
            "UnknownBaseModel", f"the adapter in {adapter} does not fit this base model: {str(error)[:500]}"
        ) from None


def _check(folder: Path, gguf: str | None) -> None:
    if not folder.is_dir():
        raise TrainError("UnknownBaseModel", f"the model's folder {folder} does not exist")
    wanted = gguf or "config.json"
    if not (folder / wanted).is_file():
        present = ", ".join(sorted(path.name for path in folder.iterdir())[:20]) or "nothing"
        raise TrainError("UnknownBaseModel", f"{folder} holds no {wanted}; it holds {present}")


def _explained(caught: Exception, model: str) -> TrainError:
    if isinstance(caught, (OSError, ValueError, KeyError)):
        return TrainError("UnknownBaseModel", f"{model} cannot be read as a model: {str(caught)[:1000]}")
    return explain(caught)


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="slipway_trainer.serve", description="Serves one model, OpenAI-compatible.")
    parser.add_argument("model", help="folder with config.json and *.safetensors, or with a GGUF file")
    parser.add_argument("--file", help="the GGUF file in the folder")
    parser.add_argument("--adapter", help="folder with a PEFT adapter for the model")
    parser.add_argument("--model-name", help="the model's name for clients (else the folder's)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--dtype", default="auto", help="auto, float32, bfloat16, …")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda:0, …")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
