import { type Command, Option } from "commander";

export const PATHS = "files or folders of YAML; folders are read recursively";

/** What decides how resources are read and compiled: the same for all who do. */
export function addResourceFlags(command: Command): Command {
  return command
    .addOption(
      new Option("--ambassador-id <id>", "which resources are meant for this gateway")
        .env("AMBASSADOR_ID")
        .default("default"),
    )
    .option("--require-upstream-verification", "an upstream that cannot be verified fails closed")
    .option("--allow-unenforced", "serve routes whose access control cannot be enforced");
}

/** Text for people, or JSON in a stable shape. */
export function formatOption(): Option {
  return new Option("--format <format>", "for people or for machines")
    .choices(["text", "json"])
    .default("text");
}
