"""Small files in the formats of the public data sets, written for the tests (no sentence of any data set is in them).

`write(root)` lays them out as a mirror folder, faults included: one of each kind that the readers must flag.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

CROWS_ROWS = [  # more, less, direction, type, votes
    ("The red baker sings.", "The blue baker sings.", "stereo", "age", [["age"]] * 5),
    ("The red baker sings a song.", "The blue cook sings one song.", "antistereo", "age", [["age"], ["x"], [], [], []]),
    ("The old baker sings.", "Baker sings", "stereo", "religion", [["religion"]] * 3 + [[], []]),
    ("The red baker sings.", "The blue baker sings.", "stereo", "age", [["age"]] * 5),
    ("null", "NA", "stereo", "gender", [["gender"]] * 4 + [[]]),
]
CROWS_SCORES = """,sent_more,sent_less,sent_more_score,sent_less_score,score,stereo_antistereo,bias_type
0,x,y,-10.5,-11.0,1,stereo,age
1,x,y,-9.0,-8.0,1,antistereo,age
"""
OCCUPATIONS = "occupation\tbergsma_pct_female\tbls_pct_female\tbls_year\nbaker\t8.93\t60.8\t2015\n"
CONLLU = """# sent_id = one
# text = I don't sing.
1\tI\tI\tPRON\tPRP\tCase=Nom\t4\tnsubj\t_\t_
2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
2\tdo\tdo\tAUX\tVBP\t_\t4\taux\t_\t_
3\tn't\tnot\tPART\tRB\t_\t4\tadvmod\t_\t_
4\tsing\tsing\tVERB\tVB\t_\t0\troot\t_\t_
4.1\tsong\tsong\tNOUN\tNN\t_\t_\t_\t_\t_
"""


def _crows_pairs() -> str:
    """As in the published file: an index without a name, votes as Python lists, writers by code."""
    file = io.StringIO()
    header = ["", "sent_more", "sent_less", "stereo_antistereo", "bias_type", "annotations", "anon_writer"]
    csv.writer(file).writerows([header, *((index, *row, f"a{index % 2}") for index, row in enumerate(CROWS_ROWS))])
    return file.getvalue()


def _flat_stereoset() -> str:
    contexts = {
        "c1": "The baker is BLANK.",
        "c2": "The baker BLANKed and BLANK.",
        "c3": "A baker came in.",
    }
    lists = {}
    for label, word in (("stereotype", "kind"), ("anti-stereotype", "stern"), ("unrelated", "purple")):
        lists[label] = [
            {
                "id": key,
                "context": text,
                "sentence": f"{key} {word}",
                "bias_type": "profession",
                "target": "baker",
                "label": 0,
            }
            for key, text in contexts.items()
        ]
    lists["unrelated"].reverse()  # the lists need not be in the same order
    return json.dumps(lists)


def cluster(key: str, votes: int) -> dict:
    """One cluster of StereoSet's official format, with `votes` of five votes for each label."""
    sentences = [
        {
            "id": f"{key}-{label}",
            "sentence": f"{key} {label}",
            "gold_label": label,
            "labels": [
                {"label": label if number < votes else "related", "human_id": str(number)} for number in range(5)
            ],
        }
        for label in ("unrelated", "stereotype", "anti-stereotype")
    ]
    return {"id": key, "target": "baker", "bias_type": "race", "context": "A BLANK baker.", "sentences": sentences}


def _winobias() -> dict[str, str]:
    pro = [
        "1 [The guard] thanked the nurse because [he] was kind.",
        "2 The guard asked [the nurse] what [she] wrote to [her] son.",
    ]
    anti = [
        "1 [The guard] thanked the nurse because [she] was kind.",
        "2 The guard asked [the nurse] what [he] wrote to [his] son.",
    ]
    longer = [
        "1 [The guard] thanked the nurse because [she] was very kind.",
        "2 A nurse and [a guard] said that [she] left.",
    ]
    names = {"female_occupations.txt": "nurse\ncook\n", "male_occupations.txt": "guard\nCEO"}
    for kind in (1, 2):
        for split in ("dev", "test"):
            names[f"pro_stereotyped_type{kind}.txt.{split}"] = "\n".join(pro) + "\n"
            names[f"anti_stereotyped_type{kind}.txt.{split}"] = "\n".join(longer if kind == 2 else anti) + "\n"
    return names


def _association(level: str) -> str:
    sets = {"targ1": "Bread", "targ2": "Soup", "attr1": "Warm", "attr2": "Cold"}
    words = {
        key: [f"{name} {number}" if level == "sentence" else name for number in (1, 2)] for key, name in sets.items()
    }
    return json.dumps({key: {"category": name, "examples": words[key]} for key, name in sets.items()}, indent=1)


def contents() -> dict[str, dict[str, str]]:
    """Return {folder: {file: text}} for every data set that has a reader."""
    return {
        "crows_pairs": {"crows_pairs_anonymized.csv": _crows_pairs()},
        "crows_pairs_bert_scores": {"bert_crows_score.csv": CROWS_SCORES},
        "stereoset_dev_flat": {"stereoset.json": _flat_stereoset()},
        "stereoset_dev": {
            "dev.json": json.dumps({"data": {"intrasentence": [cluster("a", 5)], "intersentence": [cluster("b", 3)]}})
        },
        "stereoset_intra_full_subset": {
            "race_test.json": json.dumps([cluster("a", 4)]),
            "religion_test.json": json.dumps([cluster("c", 3)]),
        },
        "winobias": _winobias(),
        "seat_weat": {"weat1.jsonl": _association("word"), "sent-weat1.jsonl": _association("sentence")},
        "seat_religion_biasbench": {"sent-religion1.jsonl": _association("sentence")},
        "weat_wefe": {"WEAT.json": json.dumps({"flowers": ["aster", "rose"], "insects": ["ant"]})},
        "debiaswe_lists": {"professions.json": json.dumps([["baker", 0.0, 0.1], ["nurse", -0.1, -0.9]])},
        "occupations": {"occupations-stats.tsv": OCCUPATIONS},
        "sst2_sentences": {
            "train.tsv": "good bread\t1\nbad bread\t0\ngood bread\t1\n",
            "dev.tsv": 'a "fine" loaf\t1\n',
        },
        "sst2_glue_split": {
            "train.tsv": "sentence\tlabel\ngood \t1\na fine loaf \t1\n",
            "dev.tsv": "sentence\tlabel\ngood \t1\n",
            "test.tsv": "sentence\tlabel\na fine loaf .\t1\n",
        },
        "cola": {
            "in_domain_train.tsv": "b00\t1\t\tThe baker sings.\nb00\t0\t*\tBaker the sings.\n",
            "in_domain_dev.tsv": 'b00\t1\t \tThe "baker" sang.\n',
            "out_of_domain_dev.tsv": "b01\t0\t??\tSang baker.\n",
        },
        "ud_ewt": {"en_ewt-ud-dev.conllu": CONLLU, "en_ewt-ud-test.conllu": CONLLU},
        "wikitext2_tokens": {"valid.txt": " \n = Bread = \n \n Bread is <unk> . \n", "test.txt": " Soup \n"},
    }


def write(root: Path) -> Path:
    """Write all files under `root` and return it."""
    for folder, files in contents().items():
        (root / folder).mkdir(parents=True)
        for name, text in files.items():
            (root / folder / name).write_bytes(text.encode("utf-8"))
    return root
