"""Works on many pictures, several at a time."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import cv2

from cnnkit.data.surroundings import say

CHUNK = 64  # files that a thread reads in one go: threads that meet often cost more


def in_threads(work, number):
    """Works on pictures several at a time, with progress on long work.

    Args:
        work: function of a position.
        number: int, how many pictures there are.

    Yields:
        What `work` returns, in order.
    """
    threads = os.cpu_count()
    chunk = min(CHUNK, -(-number // (4 * threads))) or 1  # of few files, some for each

    def several(first):
        return [work(i) for i in range(first, min(first + chunk, number))]

    start, last_word, done = time.monotonic(), time.monotonic(), 0
    pool, of_opencv = ThreadPoolExecutor(threads), cv2.getNumThreads()
    cv2.setNumThreads(1)  # within each of ours more would only wait for one another
    try:
        for results in pool.map(several, range(0, number, chunk)):
            yield from results
            now, done = time.monotonic(), done + len(results)
            if now - last_word > 5:
                last_word, left = now, (now - start) * (number / done - 1)
                say(f"read {done:,} of {number:,} pictures, about {left:.0f} s to go")
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupted reader stops at once
        cv2.setNumThreads(of_opencv)
