"""Lesson 11: how much each class weighs in the loss."""

from cnnkit.exercises import Question, compare

__all__ = ["CHECKS", "QUESTIONS"]


def weights(counts):
    """Weights with which all classes count alike, and the mean picture counts 1."""
    return [sum(counts) / (len(counts) * count) for count in counts]


CASES = [([90, 10],), ([5, 5, 5, 5],), ([1, 2, 3, 4],), ([100, 1, 9],), ([7, 3],)]

USUAL_MISTAKES = [
    (
        lambda counts: [1 / c for c in counts],
        "The classes count alike, but with 10,000 pictures all weights would be tiny, "
        "and so would every step of training. Make the mean over all pictures 1.",
    ),
    (
        lambda counts: [sum(counts) / c for c in counts],
        "The classes count alike, but the mean picture counts as often as there are "
        "classes. Divide by their number.",
    ),
    (
        lambda counts: [max(counts) / c for c in counts],
        "The classes count alike, and the largest has the weight 1. The mean picture "
        "then counts more than 1, and the loss cannot be compared with that of before.",
    ),
    (
        lambda counts: [min(counts) / c for c in counts],
        "The classes count alike, and the rarest has the weight 1. So the mean picture "
        "counts less than 1: training slows down.",
    ),
    (
        lambda counts: [c / sum(counts) for c in counts],
        "That is the share of each class. It gives most to the class that has most.",
    ),
    (
        lambda counts: [len(counts) * c / sum(counts) for c in counts],
        "Upside down: the largest class gets the largest weight.",
    ),
    (
        lambda counts: [1 - c / sum(counts) for c in counts],
        "Rare classes get more, but never more than 1. With 90 and 10 pictures the "
        "sums are 90 x 0.1 = 9 and 10 x 0.9 = 9; try it with three classes.",
    ),
    (
        lambda counts: [1 for c in counts],
        "With equal weights a class counts as much as it has pictures.",
    ),
]


def check_weights(answer):
    """Checks the exercise of lesson 11."""
    compare(answer, right=weights, cases=CASES, usual=USUAL_MISTAKES)
    return (
        "It is what scikit-learn calls 'balanced', and what `data.balance."
        "class_weights` returns. A class without pictures would divide by zero: no "
        "weight can teach what was never shown."
    )


CHECKS = {"11": check_weights}

QUESTIONS = {
    "11-screening": Question(
        "In a screening, 10 of 1,000 people are ill. Network A calls all healthy. "
        "Network B finds 9 of the 10, and calls 60 healthy people ill. Somebody wants "
        "A, because 99.0 % is more than 93.9 %. What do you say?",
        right="d",
        options={
            "a": (
                "A is better. Accuracy is what counts.",
                "A has never found anybody. Its 99 % is the share of healthy people, "
                "and would be the same without any picture.",
            ),
            "b": (
                "B is better, as its recall is 0.9.",
                "Recall alone is cheap: calling all ill gives 1.0. The 60 healthy "
                "who worry are a cost, and B must be worth it.",
            ),
            "c": (
                "Train A again on as many ill as healthy, then accuracy will do.",
                "Training can be balanced. The world stays as it is: at 1 in 100, the "
                "accuracy of a test says the same little as before.",
            ),
            "d": (
                "Accuracy cannot decide it. Compare what a missed illness costs with "
                "what a false alarm costs.",
                "A misses 10 and alarms nobody; B misses 1 and alarms 60. If a miss is "
                "worse than 7 false alarms, B is better. Lesson 06 draws that curve.",
            ),
        },
    )
}
