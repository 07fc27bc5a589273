"""Lesson 19: what attention costs, and which network notices a new order of patches."""

from cnnkit.exercises import Question, compare

__all__ = ["CHECKS", "QUESTIONS"]


def attention_cost(side, patch, width):
    """The multiply-adds with which the tokens of one picture look at each other."""
    tokens = (side // patch) ** 2 + 1
    return 2 * width * tokens**2


CASES = [(32, 4, 48), (224, 16, 768), (224, 32, 10), (28, 7, 1), (8, 4, 3)]

USUAL_MISTAKES = [
    (
        lambda s, p, w: 2 * w * (s // p) ** 4,
        "Nearly. The class token looks at all patches too, and they at it: there is "
        "one token more than patches.",
    ),
    (
        lambda s, p, w: 2 * w * ((s // p) ** 4 + 1),
        "You add the 1 for the class token after squaring. It is one more token, so "
        "one more row *and* one more column in the table of who looks at whom.",
    ),
    (
        lambda s, p, w: w * ((s // p) ** 2 + 1) ** 2,
        "That is one of two products. Queries times keys gives the scores; the shares "
        "times the values gives the result, and costs the same again.",
    ),
    (
        lambda s, p, w: 2 * ((s // p) ** 2 + 1) ** 2,
        "You count the pairs twice. But each pair multiplies two rows of `width` "
        "numbers.",
    ),
    (
        lambda s, p, w: 2 * w * ((s // p) ** 2 + 1),
        "That grows like the number of tokens. But every token looks at every token: "
        "with twice as many tokens there are four times as many pairs.",
    ),
    (
        lambda s, p, w: 2 * w * (s // p + 1) ** 2,
        "side // patch is the number of patches in one row. How many rows are there?",
    ),
    (
        lambda s, p, w: 2 * w * (s * s // p + 1) ** 2,
        "A patch is `patch` pixels wide and as many high. How many pixels has it?",
    ),
    (
        lambda s, p, w: 2 * w * (s * s + 1) ** 2,
        "Here every pixel would be a token. The tokens are patches: that is why the "
        "picture is cut at all.",
    ),
    (
        lambda s, p, w: 2 * w * ((s // p) ** 2 + 1) * (s // p) ** 2,
        "Here no token looks at itself. It does: its own share is in the softmax as "
        "all others are.",
    ),
    (
        lambda s, p, w: w * ((s // p) ** 2 + 1) * (s // p) ** 2,
        "You count each pair once. What token 3 takes from token 5 is not what 5 takes "
        "from 3: a question and an answer change places.",
    ),
]


def check_attention_cost(answer):
    """Checks the exercise of lesson 19."""
    compare(answer, right=attention_cost, cases=CASES, usual=USUAL_MISTAKES)
    return (
        "Twice the side means four times the tokens and about 16 times this cost, and "
        "so does half the patch. A convolution costs four times as much for twice the "
        "side. That is why patches of 16 pixels are usual at 224, and why pixels "
        "themselves are seldom the tokens."
    )


CHECKS = {"19": check_attention_cost}

QUESTIONS = {
    "19-order": Question(
        "Somebody cuts all pictures, those for training and those for the test, into "
        "patches of 4×4 pixels, and puts the patches of every picture into one and the "
        "same new order. Then the nets of this lesson are trained on them from random "
        "weights. Which net has no way to notice?",
        right="b",
        options={
            "a": (
                "The CNN: it slides its windows over whatever there is.",
                "It slides, but what lies under one window is no longer one stroke. On "
                "the digits it lost three points in three runs. So it copes, but it "
                "notices.",
            ),
            "b": (
                "The Vision Transformer with patches of 4 pixels.",
                "Where a patch stands is a learnt vector that starts at random, and no "
                "step asks which patches are neighbours. In the new order each place "
                "has another random vector, that is all. In three runs it was as "
                "accurate as before. It had never known what a neighbour is.",
            ),
            "c": (
                "The graph network: the order of the nodes means nothing to it.",
                "That holds if the graph moves along. Here it stays, and calls "
                "neighbours what are none any more. In three runs the net notices, and "
                "even gains: 0.83 becomes 0.92. Each of its nodes of 8 pixels now has "
                "pieces from four places.",
            ),
            "d": (
                "The capsule network: each part votes for itself.",
                "The votes have a matrix for each place and would learn the new "
                "places. But the parts come from convolutions, and their windows lie "
                "across the new seams.",
            ),
            "e": (
                "None: nobody can read a digit from shuffled patches.",
                "You cannot, since you know what neighbours are. A net that starts "
                "without this knowledge has nothing to lose.",
            ),
        },
    )
}
