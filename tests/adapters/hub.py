"""Tiny Hugging Face models with random weights, saved to folders as the hub would have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer, models, pre_tokenizers, processors

SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "bos_token": "[BOS]", "eos_token": "[EOS]"}
SENTENCE = "the a lung left right measures ml no nodule is seen volume of : . , 0 1 2 3 4 5 6 7 8 9"
VOCABULARY = {word: number for number, word in enumerate((*SENTENCE.split(), *SPECIAL.values()))}


def image_processor(size: int = 32) -> Any:
    return hf.ViTImageProcessor(size={"height": size, "width": size})


def tokenizer(longest: int = 16) -> Any:
    made = Tokenizer(models.WordLevel(VOCABULARY, unk_token=SPECIAL["unk_token"]))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]",
        special_tokens=[(token, VOCABULARY[token]) for token in ("[BOS]", "[EOS]")],
    )
    return hf.PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=longest, **SPECIAL)


def saved(folder: Path, model: Any, *processors_: Any) -> Path:
    for part in (model, *processors_):
        part.save_pretrained(folder)
    return folder


def classifier(folder: Path, labels: tuple[str, ...] = ("nodule", "effusion"), *, multi: bool = True) -> Path:
    """A ResNet whose last layer says the mean grey of the picture, and its contrary."""
    torch.manual_seed(0)
    config = hf.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8],
        depths=[1, 1],
        num_channels=3,
        id2label=dict(enumerate(labels)),
        label2id={label: n for n, label in enumerate(labels)},
        problem_type="multi_label_classification" if multi else "single_label_classification",
    )
    return saved(folder, hf.ResNetForImageClassification(config), image_processor())


def vision_transformer(folder: Path) -> Path:
    """A ViT that has learned, in a moment, to tell pictures with a bright square from dark ones."""
    torch.manual_seed(0)
    config = hf.ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
        patch_size=8,
        id2label={0: "bright", 1: "dark"},
        label2id={"bright": 0, "dark": 1},
    )
    model = hf.ViTForImageClassification(config).train()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(120):
        kinds = torch.randint(0, 2, (32,))
        pixels = 0.05 * torch.randn(32, 3, 32, 32)
        for picture, kind, place in zip(pixels, kinds, torch.randint(0, 16, (32,)), strict=True):
            row, column = 8 * (int(place) // 4), 8 * (int(place) % 4)
            picture[:, row : row + 8, column : column + 8] += 1 - 2 * kind
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(pixels).logits, kinds).backward()
        optimizer.step()
    return saved(folder, model.eval(), image_processor())


def clip(folder: Path) -> Path:
    torch.manual_seed(0)
    text = {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 16,
        "eos_token_id": VOCABULARY["[EOS]"],  # where a text's embedding is taken
    }
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    made = hf.CLIPModel(hf.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))
    processor = hf.CLIPProcessor(
        image_processor=hf.CLIPImageProcessor(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
        tokenizer=tokenizer(),
    )
    return saved(folder, made, processor)


def encoder(folder: Path) -> Path:
    torch.manual_seed(0)
    config = hf.Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8
    )
    return saved(folder, hf.Dinov2Model(config), image_processor())


def detector(folder: Path) -> Path:
    torch.manual_seed(0)
    config = hf.YolosConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=[32, 32],
        patch_size=8,
        num_detection_tokens=6,
        id2label={0: "nodule", 1: "fracture"},
        label2id={"nodule": 0, "fracture": 1},
    )
    processor = hf.YolosImageProcessor(size={"height": 32, "width": 32})
    return saved(folder, hf.YolosForObjectDetection(config), processor)


def sam(folder: Path) -> Path:
    torch.manual_seed(0)
    config = hf.SamConfig(
        vision_config={
            "hidden_size": 16,
            "output_channels": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 64,
            "patch_size": 16,
            "mlp_dim": 16,
            "window_size": 2,
            "global_attn_indexes": [0],
            "num_pos_feats": 8,
        },
        prompt_encoder_config={
            "hidden_size": 16,
            "image_size": 64,
            "patch_size": 16,
            "mask_input_channels": 4,
        },
        mask_decoder_config={
            "hidden_size": 16,
            "mlp_dim": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
        },
    )
    images = hf.SamImageProcessor(size={"longest_edge": 64}, pad_size={"height": 64, "width": 64})
    return saved(folder, hf.SamModel(config), hf.SamProcessor(images))


def llama(words: int) -> hf.LlamaConfig:
    return hf.LlamaConfig(
        vocab_size=words,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=512,
        pad_token_id=VOCABULARY["[PAD]"],
        bos_token_id=VOCABULARY["[BOS]"],
        eos_token_id=VOCABULARY["[EOS]"],
    )


def language_model(folder: Path) -> Path:
    torch.manual_seed(0)
    return saved(folder, hf.LlamaForCausalLM(llama(len(VOCABULARY))), tokenizer(512))


def form_filler(folder: Path, answer: str = '{"side": "left"}') -> Path:
    """A language model that answers whatever it is asked with one line: its layers pass on the last word."""
    words = tokenizer(512)
    words.add_tokens([answer])
    number = words.convert_tokens_to_ids(answer)
    config = llama(len(words))
    model = hf.LlamaForCausalLM(config)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:  # the norms' scales stay
                weights.zero_()
        seen, said = model.model.embed_tokens.weight, model.lm_head.weight
        seen[:, 0] = said[number, 0] = 1  # after any word the answer,
        seen[number, :2] = torch.tensor([0.0, 1.0])
        said[VOCABULARY["[EOS]"], 1] = 1  # after the answer the end
    return saved(folder, model, words)


CHAT = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{{ '[IMAGE]' if part['type'] == 'image' else part['text'] }}\n"
    "{% endfor %}{% endfor %}"
)


def vision_language_model(folder: Path) -> Path:
    torch.manual_seed(0)
    words = tokenizer(512)
    image = "[IMAGE]"
    words.add_special_tokens({"additional_special_tokens": [image]})
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = hf.LlavaConfig(
        vision_config=hf.CLIPVisionConfig(image_size=32, patch_size=8, **small),
        text_config=hf.LlamaConfig(vocab_size=len(words), max_position_embeddings=512, **small),
        image_token_index=words.convert_tokens_to_ids(image),
    )
    processor = hf.LlavaProcessor(
        image_processor=hf.CLIPImageProcessor(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
        tokenizer=words,
        patch_size=8,
        vision_feature_select_strategy="default",
        image_token=image,
        num_additional_image_tokens=1,
        chat_template=CHAT,
    )
    return saved(folder, hf.LlavaForConditionalGeneration(config), processor)
