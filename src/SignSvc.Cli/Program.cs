using System.CommandLine;
using SignSvc.Cli;
using SignSvc.Cli.Audit;
using SignSvc.Cli.Callers;
using SignSvc.Cli.Completion;
using SignSvc.Cli.Credentials;
using SignSvc.Cli.Declared;
using SignSvc.Cli.Hsm;
using SignSvc.Cli.Keys;
using SignSvc.Cli.Login;
using SignSvc.Cli.Profiles;
using SignSvc.Cli.Signing;
using SignSvc.Cli.Tokens;

// A table of contents: one command, or one noun of commands, for each folder.
var time = TimeProvider.System;
var root = new RootCommand($"SignSvc at the command line.\n\n{ExitCode.Description}")
{
    GlobalOptions.Output,
    GlobalOptions.Url,
    GlobalOptions.Timeout,
    LoginCommand.Create(time),
    WhoAmICommand.Create(),
    KeyCommands.Create(),
    AliasCommands.Create(),
    PlanCommand.Create(),
    ApplyCommand.Create(),
    StatusCommand.Create(time),
    SchemaCommand.Create(),
    SignCommand.Create(),
    VerifyCommand.Create(),
    TokenCommands.Create(),
    ProfileCommands.Create(),
    AuditCommands.Create(time),
    CredentialCommands.Create(time),
    HsmCommands.Create(),
    CompletionCommand.Create(),
};
return await CommandLineEdge.RunAsync(root, args);
