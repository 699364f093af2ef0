using System.CommandLine;
using SignSvc.Cli;
using SignSvc.Cli.Audit;
using SignSvc.Cli.Backups;
using SignSvc.Cli.Callers;
using SignSvc.Cli.Completion;
using SignSvc.Cli.Cosign;
using SignSvc.Cli.Credentials;
using SignSvc.Cli.Declared;
using SignSvc.Cli.Hsm;
using SignSvc.Cli.Keys;
using SignSvc.Cli.Login;
using SignSvc.Cli.Policies;
using SignSvc.Cli.Profiles;
using SignSvc.Cli.Signing;
using SignSvc.Cli.Sigstore;
using SignSvc.Cli.Tokens;

// A table of contents: one command, or one noun of commands, for each folder.
var time = TimeProvider.System;
if (PluginEntry.IsCall(args))
    return await PluginEntry.RunAsync(args, time);
return await CommandLineEdge.RunAsync(Root(time), args);

static RootCommand Root(TimeProvider time) => new($"SignSvc at the command line.\n\n{ExitCode.Description}")
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
    SignBlobCommand.Create(),
    AttestCommand.Create(),
    VerifyBlobCommand.Create(),
    VerifyAttestationCommand.Create(),
    TokenCommands.Create(),
    ProfileCommands.Create(),
    AuditCommands.Create(time),
    CredentialCommands.Create(time),
    PolicyCommands.Create(),
    GrantCommands.Create(time),
    BackupCommand.Create(),
    HsmCommands.Create(),
    CompletionCommand.Create(),
};
