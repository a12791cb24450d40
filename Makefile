# Every workflow is a target; plain `make` lists them. The work is done by `python -m scripts.<verb>`.

SHELL  := /bin/sh
PYTHON ?= python3
ENV    := local
BENCH   = $(if $(ROUNDS),--rounds '$(ROUNDS)') $(if $(RECORDS),--records '$(RECORDS)') $(if $(RECORD),--record) $(if $(JSON),--json)
SCANNERS := checkov==3.3.30 tf-nag==0.1.6
RUN    := .venv/bin/python -m scripts

.DEFAULT_GOAL := help
.PHONY: help up down status logs build environments bootstrap plan guard apply verify report env adopt migrate-index reshard migrate export rollback rollback-to-memory back-to-dynamodb prune drift cost doctor drill load gateway-target gateway-tools add-caller sign-in destroy comment fetch-bundle ci test guarantees lint format docs validate-ahead bench bench-cold bench-migration scale lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- on this machine ---------------------------------------------------------------------------------------------

up: .venv/run ## Stand the stack up on an embedded AWS and prove that it keeps its state
	@$(RUN).up

down: .venv/run ## Stop the embedded AWS; what it held is gone
	@$(RUN).down

status: .venv/run ## Tell what runs on this machine
	@$(RUN).status

logs: .venv/run ## Follow a function's logs: SYSTEM=agent_registry [ENV=local] [SINCE=10m] [FOLLOW=0]
	@$(RUN).logs --env '$(ENV)' $(if $(SYSTEM),--system '$(SYSTEM)') $(if $(SINCE),--since '$(SINCE)') $(if $(filter 0,$(FOLLOW)),--no-follow)

# --- an environment: ENV=<name> of terraform/environments/<name>.toml ----------------------------------------------

build: .venv/run ## Build the function zips, their manifest, and a bill of materials (CycloneDX) beside each
	@$(RUN).build_lambdas

environments: .venv/run ## List the environments on AWS, and which of them workflows can sign in to: [ENV=<name>] [JSON=1]
	@$(RUN).environments_list $(if $(filter command%,$(origin ENV)),$(if $(ENV),--env '$(ENV)')) $(if $(JSON),--json)

bootstrap: .venv/run ## Make the account's state bucket and GitHub's roles, once: ENV=<name> [JSON=1]
	@$(RUN).bootstrap --env '$(ENV)' $(if $(JSON),--json)

plan: .venv/run ## Show what an apply would change, guard it, and seal it: ENV=<name> [ALLOW="rule:address …"] [JSON=1]
	@$(RUN).plan --env '$(ENV)' $(if $(ALLOW),--allow '$(ALLOW)') $(if $(JSON),--json)

guard: .venv/run ## Hold any plan against the guard: PLAN=<what `terraform show -json` printed> [ALLOW="rule:address …"] [JSON=1]
	@$(RUN).guard --plan '$(or $(PLAN),-)' $(if $(filter command%,$(origin ENV)),--env '$(ENV)') $(if $(ALLOW),--allow '$(ALLOW)') $(if $(JSON),--json)

apply: .venv/run ## Apply the sealed plan, or a fresh one: ENV=<name> [BUNDLE=file] [DIGEST=sha256] [YES=1] [ALLOW="rule:address …"] [JSON=1]
	@$(RUN).apply --env '$(ENV)' $(if $(BUNDLE),--bundle '$(BUNDLE)') $(if $(DIGEST),--digest '$(DIGEST)') $(if $(ALLOW),--allow '$(ALLOW)') $(if $(YES),--yes) $(if $(JSON),--json)

verify: .venv/run ## Prove what is applied: ENV=<name> [SYSTEM=…] [JUNIT=file] [JSON=1]
	@$(RUN).verify --env '$(ENV)' $(if $(SYSTEM),--system '$(SYSTEM)') $(if $(JUNIT),--junit '$(JUNIT)') $(if $(JSON),--json)

report: .venv/run ## Write a page about an environment, for people: ENV=<name> [OUTPUT=file] [HISTORY=folder] [SINCE=7d] [JSON=1]
	@$(RUN).report --env '$(ENV)' $(if $(SINCE),--since '$(SINCE)') $(if $(OUTPUT),--output '$(OUTPUT)') $(if $(HISTORY),--history '$(HISTORY)') $(if $(JSON),--json)

env: .venv/run ## Render the .env of applications that use the stack: ENV=<name> [SYSTEM=…] [OUTPUT=file] [FORCE=1]
	@$(RUN).env --env '$(ENV)' $(if $(SYSTEM),--system '$(SYSTEM)') $(if $(OUTPUT),--output '$(OUTPUT)') $(if $(FORCE),--force)

gateway-target: .venv/run ## Offer the pets' tools at an AgentCore Gateway: ENV=<name> GATEWAY=<id> [NAME=pet-store] [DRY_RUN=1] [JSON=1]
	@$(RUN).gateway_target --env '$(ENV)' --gateway '$(GATEWAY)' $(if $(NAME),--name '$(NAME)') $(if $(DRY_RUN),--dry-run) $(if $(JSON),--json)

add-caller: .venv/run ## Add an agent or a person that may call the API, to the stack's user pool: ENV=<name> NAME=… TENANT=… [SCOPES="pet_store.read …"] [JSON=1]
	@$(RUN).add_caller --env '$(ENV)' --name '$(NAME)' --tenant '$(TENANT)' $(if $(SCOPES),--scopes '$(SCOPES)') $(if $(JSON),--json)

sign-in: .venv/run ## Print a token of a caller in the stack's user pool; the password is API_PASSWORD, or asked for: ENV=<name> NAME=… [JSON=1]
	@$(RUN).sign_in --env '$(ENV)' --name '$(NAME)' $(if $(JSON),--json)

rollback: .venv/run ## Move callers back to an older version of a function: ENV=<name> [SYSTEM=…] [TO=<version>|latest] [JSON=1]
	@$(RUN).rollback --env '$(ENV)' $(if $(SYSTEM),--system '$(SYSTEM)') $(if $(TO),--to '$(TO)') $(if $(JSON),--json)

rollback-to-memory: .venv/run ## Let a system answer from memory, as before it had tables: ENV=<name> SYSTEM=… [YES=1] [JSON=1]
	@$(RUN).rollback_to_memory --env '$(ENV)' --system '$(SYSTEM)' $(if $(YES),--yes) $(if $(JSON),--json)

back-to-dynamodb: .venv/run ## The way back from rollback-to-memory: ENV=<name> SYSTEM=… [YES=1] [JSON=1]
	@$(RUN).rollback_to_memory --env '$(ENV)' --system '$(SYSTEM)' --back $(if $(YES),--yes) $(if $(JSON),--json)

prune: .venv/run ## Delete old versions of functions that nobody uses: ENV=<name> [SYSTEM=…] [KEEP=5] [DRY_RUN=1] [JSON=1]
	@$(RUN).prune --env '$(ENV)' $(if $(SYSTEM),--system '$(SYSTEM)') $(if $(KEEP),--keep '$(KEEP)') $(if $(DRY_RUN),--dry-run) $(if $(JSON),--json)

drift: .venv/run ## Tell what is not as the configuration says, and what AWS itself changes: ENV=<name> [JSON=1]
	@$(RUN).drift --env '$(ENV)' $(if $(JSON),--json)

cost: .venv/run ## What it costs a month, expected and used: ENV=<name> [SINCE=7d] [ESTIMATE=1] [JSON=1]
	@$(RUN).cost --env '$(ENV)' $(if $(SINCE),--since '$(SINCE)') $(if $(ESTIMATE),--estimate) $(if $(JSON),--json)

doctor: .venv/run ## Tell what is wrong, why, and the command that mends it: ENV=<name> [SYSTEM=…] [SINCE=1h] [SYMPTOM="error text"] [JSON=1]
	@$(RUN).doctor --env '$(ENV)' $(if $(SYSTEM),--system '$(SYSTEM)') $(if $(SINCE),--since '$(SINCE)') $(if $(SYMPTOM),--symptom "$$SYMPTOM") $(if $(JSON),--json)

drill: .venv/run ## Prove that a system's tables can be restored: ENV=<name> SYSTEM=… [TABLE=…] [FROM=recovery|backup] [READ_UNITS=…] [JSON=1]
	@$(RUN).drill --env '$(ENV)' --system '$(SYSTEM)' $(if $(TABLE),--table '$(TABLE)') $(if $(FROM),--from '$(FROM)') $(if $(READ_UNITS),--read-units '$(READ_UNITS)') $(if $(JSON),--json)

load: .venv/run ## Put it under load, and prove that nothing was lost: ENV=<name> [CLIENTS=64] [SECONDS=60] [SYSTEM=…] [YES=1] [JSON=1]
	@$(RUN).load --env '$(ENV)' $(if $(CLIENTS),--clients '$(CLIENTS)') $(if $(SECONDS),--seconds '$(SECONDS)') $(if $(SYSTEM),--system '$(SYSTEM)') $(if $(YES),--yes) $(if $(JSON),--json)

adopt: .venv/run ## Take over a table that exists, as it is: ENV=<name> TABLE=<table> [AS=<system>.<table>|extra] [DRY_RUN=1] [JSON=1]
	@$(RUN).adopt --env '$(ENV)' --table '$(TABLE)' $(if $(filter-out default,$(origin AS)),--as '$(AS)') $(if $(DRY_RUN),--dry-run) $(if $(JSON),--json)

migrate-index: .venv/run ## Bring indexes to what is declared: ENV=<name> [INDEX=<system>.<table>/<index> TO=<name> [RANGE_KEY=price:N] [PROJECTION=ALL]] [YES=1] [JSON=1]
	@$(RUN).migrate_index --env '$(ENV)' $(if $(INDEX),--index '$(INDEX)') $(if $(TO),--to '$(TO)') $(if $(RANGE_KEY),--range-key '$(RANGE_KEY)') $(if $(PROJECTION),--projection '$(PROJECTION)') $(if $(YES),--yes) $(if $(JSON),--json)

reshard: .venv/run ## Bring all that is stored to the shards that are written to, older pets into their list's index: ENV=<name> SYSTEM=agent_registry|agent_profiles|agent_sessions|pet_store [WORKERS=4] [DRY_RUN=1] [JSON=1]
	@$(RUN).reshard --env '$(ENV)' --system '$(SYSTEM)' $(if $(filter command%,$(origin WORKERS)),--workers '$(WORKERS)') $(if $(DRY_RUN),--dry-run) $(if $(JSON),--json)

migrate: .venv/run ## Bring profiles from JSON files, or any table's items, into DynamoDB: ENV=<name> FROM=<folder> [TABLE=<system>.<table>] [FORM=records|items] [DRY_RUN=1] [QUARANTINE=file] [WORKERS=8] [RESTART=1] [JSON=1]
	@$(RUN).migrate --env '$(ENV)' $(if $(FROM),--from '$(FROM)') $(if $(TABLE),--table '$(TABLE)') $(if $(FORM),--form '$(FORM)') $(if $(QUARANTINE),--quarantine '$(QUARANTINE)') $(if $(filter command%,$(origin WORKERS)),--workers '$(WORKERS)') $(if $(DRY_RUN),--dry-run) $(if $(RESTART),--restart) $(if $(JSON),--json)

export: .venv/run ## Write profiles back to JSON files, or any table's items: ENV=<name> TO=<folder> [TABLE=<system>.<table>] [FORM=records|items] [WORKERS=4] [RESTART=1] [JSON=1]
	@$(RUN).export --env '$(ENV)' $(if $(TO),--to '$(TO)') $(if $(TABLE),--table '$(TABLE)') $(if $(FORM),--form '$(FORM)') $(if $(filter command%,$(origin WORKERS)),--workers '$(WORKERS)') $(if $(RESTART),--restart) $(if $(JSON),--json)

destroy: .venv/run ## Destroy the stack, after asking for its name: ENV=<name> [CONFIRM=<name>] [JSON=1]
	@$(RUN).destroy --env '$(ENV)' $(if $(CONFIRM),--confirm '$(CONFIRM)') $(if $(JSON),--json)

# --- a pipeline on GitHub: docs/pipeline.md ------------------------------------------------------------------------

comment: .venv/run ## Show every plan under .build/ in one comment: PR=<number> [REPOSITORY=owner/name] [COMMIT=sha] [EXPECT="…"] [DRY_RUN=1]
	@$(RUN).comment --pr '$(PR)' $(if $(REPOSITORY),--repository '$(REPOSITORY)') $(if $(COMMIT),--commit '$(COMMIT)') $(if $(EXPECT),--expect '$(EXPECT)') $(if $(DRY_RUN),--dry-run)

fetch-bundle: .venv/run ## Get the plan that was reviewed for a merged commit: ENV=<name> COMMIT=<sha> [REPOSITORY=owner/name]
	@$(RUN).fetch_bundle --env '$(ENV)' --commit '$(COMMIT)' $(if $(REPOSITORY),--repository '$(REPOSITORY)')

ci: ## Prove the project as CI does: with its optional parts installed, so that no test is skipped
	@.ci/run

# --- the project itself --------------------------------------------------------------------------------------------

# One worker more than cores: the long tests wait for Terraform's provider much of the time.
WORKERS := $$(.venv/bin/python -c 'import os; print((os.cpu_count() or 1) + 1)')

test: .venv/test .venv-scan/installed lint ## Prove the project: lint, unit, contract, Terraform and end-to-end tests
	@.venv/bin/python -m pytest --numprocesses $(WORKERS) $(TESTS); code=$$?; \
	$(if $(TESTS),true,$(RUN).guarantees --output .build/guarantees.md) || [ $$code != 0 ] || code=1; exit $$code

guarantees: .venv/test .venv-scan/installed ## Try to break each promise, and write docs/guarantees.md: [TESTS="files"] [JSON=1]
	@.venv/bin/python -m pytest --numprocesses $(WORKERS) -m guarantee $(TESTS) >&2; code=$$?; \
	$(RUN).guarantees $(if $(JSON),--json) || [ $$code != 0 ] || code=1; exit $$code

lint: .venv/test ## Check style and types
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --check --quiet . || { echo "error: run \`make format\`" >&2; exit 1; }
	@.venv/bin/mypy --no-error-summary

audit: .venv/test ## Hold every locked package against known advisories; needs pypi.org, or ADVISORIES=<url of an OSV service> [JSON=1]
	@$(RUN).audit $(if $(ADVISORIES),--advisories '$(ADVISORIES)') $(if $(JSON),--json)

secrets-scan: .venv/test ## Look for secrets in the code, or with HISTORY=1 in every version of it: [JSON=1]
	@$(RUN).secrets_scan $(if $(HISTORY),--history) $(if $(JSON),--json)

format: .venv/test ## Format Python and Terraform
	@.venv/bin/ruff check --quiet --fix .
	@.venv/bin/ruff format --quiet .
	@terraform fmt -recursive terraform

gateway-tools: .venv/run ## Make the schema of the gateway's tools anew from lambda_src/pet_store/openapi.yaml
	@$(RUN).gateway_tools

docs: .venv/test ## Make the reference in Terraform's READMEs anew from the code: [CHECK=1]
	@$(RUN).docs $(if $(CHECK),--check)

validate-ahead: .venv/run ## Validate the Terraform code under the newest provider: [VERSION='>= 5.100']
	@$(RUN).validate_ahead $(if $(VERSION),--version '$(VERSION)')

bench: .venv/test ## Measure all that the README says, beside what people would use instead: [ONLY=part,…] [ROUNDS=n] [RECORDS=n] [RECORD=1] [JSON=1]
	@$(RUN).bench $(if $(ONLY),--only '$(ONLY)') $(BENCH)

bench-cold: .venv/test ## Measure cold starts, CPU and memory of the functions alone
	@$(RUN).bench --only functions $(BENCH)

bench-migration: .venv/test ## Measure the migration alone
	@$(RUN).bench --only migration $(BENCH)

scale: .venv/run ## Simulate the heat of partitions at 100 million agents, and write it into docs/scale.md: [CHECK=1] [JSON=1]
	@$(RUN).scale $(if $(CHECK),--check) $(if $(JSON),--json)

COMPILE := .build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
  --no-header --no-emit-index-url

lock: .venv/made ## Lock the dependencies of pyproject.toml anew
	@.venv/bin/python -m venv .build/lock && .build/lock/bin/python $(PIP) -r requirements/lock.txt
	@echo uv | $(COMPILE) - -o requirements/lock.txt
	@$(COMPILE) pyproject.toml -o requirements/run.txt
	@$(COMPILE) pyproject.toml --extra test --extra bench -c requirements/run.txt -o requirements/test.txt
	@printf '%s\n' $(SCANNERS) | $(COMPILE) - -o requirements/scan.txt

clean: down ## Remove everything that was generated
	@rm -rf .build .venv .venv-scan

# --- virtual environments, each made again when its lock file changes ----------------------------------------------

PIP := -m pip install -qq --disable-pip-version-check --require-hashes

.venv/made:
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not on PATH. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is older than Python 3.11. Install a newer one, or name it: make PYTHON=/path/to/python3" >&2; exit 2; }
	@echo "making .venv (once)" >&2
	@rm -rf .venv
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "error: python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	@touch $@

.venv/run: requirements/run.txt | .venv/made
	@echo "installing locked dependencies" >&2
	@.venv/bin/python $(PIP) -r requirements/run.txt
	@touch $@

.venv/test: requirements/test.txt .venv/run
	@echo "installing locked test dependencies" >&2
	@.venv/bin/python $(PIP) -r requirements/test.txt
	@touch $@

# checkov pins its own boto3, so it lives apart.
.venv-scan/installed: requirements/scan.txt | .venv/made
	@echo "installing the locked scanners" >&2
	@rm -rf .venv-scan && .venv/bin/python -m venv .venv-scan
	@.venv-scan/bin/python $(PIP) -r requirements/scan.txt
	@touch $@
