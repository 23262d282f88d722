"""The fault harness: a real pass, stopped at each step of its way to the target, hit by a fault, and judged from the
world after the next passes (P2, P3, P5 to P8, P10, P11).

    make faults                                         all cases; goes on where it was interrupted
    make faults FAULTS="--scenario revert --jobs 6"     a part of them, on more servers: waiting costs no CPU
    python -m tests.faults --scenario deploy --transport ssh --fault kill --index 12
    python -m tests.faults --case 'prune/ssh/kill/prune#1 after'     as a violation prints it

Cases on one app follow each other, each with a release that never was: that saves the first deploy, and an app with a
history finds what a new one doesn't. A violation names those before it.

- `controller`: the pass, its indices numbered; `passes`: the same from outside
- `lab`: a server with its own dockerd and sshd, a small disk, a clock that can be wrong; `app`: what runs there
- `scenarios`, `inflict`: what is going on, and what strikes
- `cases`: one case from its beginning to its judgement; `judge`: what is looked at; `campaign`: many cases
"""
