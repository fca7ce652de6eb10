"""Careless sentences keep their words' tags and what they say."""

from kinetoscope.data.worlds.stage.captions import made_up_caption, roughen


def test_rough_sentences_say_the_same_with_the_same_tags() -> None:
    changed = 0
    for seed in range(300):
        exact = made_up_caption(seed)
        rough = roughen(exact, seed)
        assert rough.said == exact.said and len(rough.words) == len(rough.tags)
        assert all(rough.words)
        kept = {}
        for word, tag in zip(exact.words, exact.tags):
            for part in word.split("-"):
                kept.setdefault(part, set()).add(tag)
        for word, tag in zip(rough.words, rough.tags):
            if word not in ("and", ";") and len(kept.get(word, ())) == 1:
                assert tag in kept[word] or tag == 10
        changed += rough.text != exact.text
    assert 200 < changed < 300


def test_roughness_depends_on_the_seed_alone() -> None:
    assert roughen(made_up_caption(1), 5) == roughen(made_up_caption(1), 5)
    assert len({roughen(made_up_caption(1), seed).text for seed in range(40)}) > 20
