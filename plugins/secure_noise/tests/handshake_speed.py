"""CPU time of one handshake, both sides together: `python -m plugins.secure_noise.tests.handshake_speed`."""

import time

from plugins.secure_noise.tests.nodes import initiate, node, respond, run

ROUNDS, REPEATS = 200, 7


def main() -> None:
    a, b = node(1), node(2)
    for name, target in (("IK", b), ("XX", None)):
        for known in (True, False):
            best_s = float("inf")
            for _ in range(REPEATS):
                start_s = time.process_time()
                for _ in range(ROUNDS):
                    if not known:
                        a.security._verify.cache_clear()
                        b.security._verify.cache_clear()
                    run(initiate(a, target), respond(b))
                best_s = min(best_s, (time.process_time() - start_s) / ROUNDS)
            print(f"{name}  {'met before' if known else 'first time'}  {best_s * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
