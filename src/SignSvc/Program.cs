using SignSvc;
using SignSvc.Access;
using SignSvc.Audit;
using SignSvc.Compatibility.AwsKms;
using SignSvc.Compatibility.Transit;
using SignSvc.Embedded;
using SignSvc.Grpc;
using SignSvc.Http;
using SignSvc.Keys;
using SignSvc.OAuth;
using SignSvc.Operations;
using SignSvc.Signing;
using SignSvc.Telemetry;
using SignSvc.Tokens;
using SignSvc.Tour;

// A table of contents: what the process is made of, in the order in which it comes to life.
var isServing = false;
try
{
    var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions
    {
        Args = args,
        ContentRootPath = AppContext.BaseDirectory,
    });
    builder.AddSettingsFile();
    var read = SettingsReader.Read(builder.Configuration);
    if (await MaintenanceCommands.RunAsync(args, builder.Configuration, read, CancellationToken.None) is { } exitCode)
        return exitCode;
    var settings = read.Require(builder.Configuration);
    if (!settings.AllowProcessDumps)
        ProcessDumps.Forbid();
    if (RestoreCommand.Parse(args, settings) is { } restore)
        return await restore.RunAsync(CancellationToken.None);
    var fileToSign = TourGuide.FileToSign(args);
    ServedAddresses.RequireFree(builder.Configuration, settings);
    builder.AddHttp(settings);
    builder.AddTelemetry(settings.Telemetry);
    builder.AddShutdown(settings.Shutdown);
    builder.AddReload(settings);

    await using var node = await Node.OpenAsync(settings, TimeProvider.System, CancellationToken.None);
    builder.Services.AddNode(node);
    builder.Services.AddAccess(settings);
    builder.Services.AddTokens(settings);
    builder.Services.AddKeySchedule();
    builder.Services.AddHostedService<AuditWatch>();
    builder.Services.AddHostedService<TokenWatch>();
    builder.Services.AddKeyImport(node);
    builder.Services.AddCertificateChains();
    builder.Services.AddOAuth();
    builder.Services.AddBackups(node);
    builder.Services.AddUsageWatch();
    builder.Services.AddRemoteKeys();
    builder.Services.AddGrpcCalls(settings);
    builder.Services.AddAwsKmsCompatibility();
    builder.Services.AddTransitCompatibility();

    await using var app = builder.Build();
    app.UseTelemetry();
    app.UseDraining();
    app.UseProblems();
    app.UseRouting();
    app.UseGrpcFaults();
    app.UseAliasesInPaths();
    app.UseTransitAnswers();
    app.UseCallers();
    app.UseStrictQueries();
    app.UseGrantTokens();
    app.UseDeadlines();

    app.MapSigning();
    app.MapBundles();
    app.MapTokens();
    app.MapPayloads();
    app.MapKeySets();
    app.MapIssuerMetadata();
    app.MapOAuth();
    app.MapProfiles();
    app.MapKeys();
    app.MapKeyChanges();
    app.MapVersions();
    app.MapCertificateChains();
    app.MapKeyImport();
    app.MapAliases();
    app.MapManifestSchema();
    app.MapCredentials();
    app.MapPolicies();
    app.MapPolicyQuestions();
    app.MapGrants();
    app.MapApprovals();
    app.MapAccessKeys();
    app.MapClientKeys();
    app.MapWhoAmI();
    app.MapAudit();
    app.MapOperations();
    app.MapMetrics();
    app.MapBackups();
    app.MapGrpcCalls(settings);
    app.MapAwsKms();
    app.MapTransit();

    await app.StartServingAsync(settings);
    isServing = true;
    app.Announce(node);
    if (fileToSign is not null)
        await TourGuide.ShowAsync(app, node, fileToSign);
    await app.WaitForShutdownAsync();
    return 0;
}
catch (Exception fault) when (!isServing)
{
    return await StartFault.ReportAsync(fault, args);
}
