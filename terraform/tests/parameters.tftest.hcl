mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "tables"
  source = "./tests/mocks"
}

variables {
  environment     = "dev"
  aws_region      = "eu-north-1"
  lambda_manifest = "tests/fixtures/manifest.json"
  systems         = ["agent_registry", "agent_sessions"]
  agent_sessions  = { sessions_table_name = "our-sessions" }
}

run "names_are_published_under_prefix_and_environment" {
  command = apply

  assert {
    condition = { for key, parameter in aws_ssm_parameter.published : parameter.name => nonsensitive(parameter.insecure_value) } == {
      "/agent-state/dev/api/url"                        = output.api.url
      "/agent-state/dev/agent_registry/function"        = "agent-state-dev-agent-registry"
      "/agent-state/dev/agent_registry/tables/agents"   = "AgentRegistry"
      "/agent-state/dev/agent_sessions/function"        = "agent-state-dev-agent-sessions"
      "/agent-state/dev/agent_sessions/tables/messages" = "ai-agent-messages"
      "/agent-state/dev/agent_sessions/tables/sessions" = "our-sessions"
    }
    error_message = "Each system's function and tables, and the API: ${jsonencode({ for key, parameter in aws_ssm_parameter.published : parameter.name => parameter.insecure_value })}"
  }

  assert {
    condition     = alltrue([for parameter in aws_ssm_parameter.published : parameter.type == "String"])
    error_message = "Anybody who may read them reads them without a key."
  }

  assert {
    condition     = output.parameters["agent_sessions/tables/sessions"] == "/agent-state/dev/agent_sessions/tables/sessions" && length(output.parameters) == 6
    error_message = "parameters: ${jsonencode(output.parameters)}"
  }
}

run "a_path_of_ones_own" {
  command = plan

  variables {
    parameter_path = "/teams/agents"
  }

  assert {
    condition     = length(aws_ssm_parameter.published) == 6 && alltrue([for parameter in aws_ssm_parameter.published : startswith(parameter.name, "/teams/agents/a")])
    error_message = join(", ", [for parameter in aws_ssm_parameter.published : parameter.name])
  }
}

run "nothing_is_published" {
  command = plan

  variables {
    parameter_path = ""
  }

  assert {
    condition     = length(aws_ssm_parameter.published) == 0 && length(output.parameters) == 0
    error_message = "An empty path publishes nothing."
  }
}

run "nothing_to_publish" {
  command = plan

  variables {
    systems = []
  }

  assert {
    condition     = length(aws_ssm_parameter.published) == 0 && length(output.parameters) == 0
    error_message = "Systems that are off have no names."
  }
}
