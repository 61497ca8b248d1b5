# The commands of the house; what they do stands in deployments/make.sh.
# Each may be run again at any time. `make` alone lists them.
.PHONY: help up down test test-full check bench lock words
RUN := ./deployments/make.sh

help:  ## list the commands
	@sed -n 's/^\([a-z-]*\): *.*## /  make \1  /p' Makefile

up:  ## environment, database, sample, Prefect, app: all running, URL printed
	@$(RUN) carrel up $(ARGS)

down:  ## stop everything
	@$(RUN) carrel down

test:  ## all tests (ARGS="-k loans" for some)
	@$(RUN) test $(ARGS)

test-full:  ## all tests with the long sweeps
	@$(RUN) test-full $(ARGS)

check:  ## the fast half: format, lint, types, import contracts, house rules, secrets
	@$(RUN) check

bench:  ## the figures of speed and size
	@$(RUN) bench $(ARGS)

lock:  ## resolve the dependencies anew into the lock files (UPGRADE=1: newest)
	@$(RUN) lock

words:  ## bring the catalogues of other languages up to date with the source
	@$(RUN) words $(ARGS)
