using System.CommandLine;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Net.Sockets;
using System.Numerics;
using System.Runtime.InteropServices;
using SignSvc.Load.Calls;
using SignSvc.Load.Growth;
using SignSvc.Load.Ratios;
using SignSvc.Load.Running;
using SignSvc.Load.Scenarios;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load;

/// <summary>The verbs: <c>ratios</c> (the default, short), <c>run</c>, <c>list</c>, <c>growth</c>, <c>telemetry</c>, <c>constant</c> and <c>issuer</c>, which the ratios start.</summary>
internal static class CommandLine
{
    private static readonly Option<string?> Out = new("--out") { Description = "Folder for the report's files; without it nothing is written." };

    /// <summary>How long what was started, and the report of an aborted run, may take to end after Ctrl-C or SIGTERM.</summary>
    private static readonly TimeSpan EndingTime = TimeSpan.FromSeconds(30);

    /// <summary>The whole program: every way in which it ends is here, and in <see cref="ExitCode"/>.</summary>
    public static async Task<int> InvokeAsync(string[] arguments, TextWriter error)
    {
        // Before anything runs: a signal that comes first is ours, too. A second one ends the process as it stands.
        using var interruption = new CancellationTokenSource();
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Interrupt);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Interrupt);
        var parsed = Make().Parse(arguments);
        try
        {
            var invoked = parsed.InvokeAsync(
                new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null }, interruption.Token);
            if (await Task.WhenAny(invoked, LateAsync(interruption.Token)) != invoked)
                throw new OperationCanceledException("It did not end in time.");
            var code = await invoked;
            return parsed.Action is ParseErrorAction ? ExitCode.Unusable : code;
        }
        catch (OperationCanceledException)
        {
            await error.WriteLineAsync("Interrupted: nothing is judged.");
            return ExitCode.Interrupted;
        }
        // Not every IOException: one that has nothing to do with HTTP is a file's.
        catch (Exception e) when (e is TargetLostException or SocketException or HttpRequestException or HttpIOException)
        {
            await error.WriteLineAsync($"{e.Message.TrimEnd('.')}. Nothing is judged.");
            return ExitCode.TargetLost;
        }
        catch (Exception e) when (e is UsageException or InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            // What is missing, wrong or refused, in words for whoever asked.
            await error.WriteLineAsync(e.Message);
            return ExitCode.Unusable;
        }

        void Interrupt(PosixSignalContext signal)
        {
            signal.Cancel = !interruption.IsCancellationRequested;
            interruption.Cancel();
        }
    }

    /// <summary>Ends when what was interrupted had its time to end.</summary>
    private static async Task LateAsync(CancellationToken interruption)
    {
        var interrupted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = interruption.Register(interrupted.SetResult);
        await interrupted.Task;
        await Task.Delay(EndingTime, TimeProvider.System, CancellationToken.None);
    }

    private static RootCommand Make() => new("Measures SignSvc as its users load it, beside its peers and the limits of the machine.")
    {
        MakeRatios(),
        MakeRun(),
        MakeList(),
        MakeGrowth(),
        MakeTelemetry(),
        MakeConstant(),
        MakeIssuer(),
    };

    private static Command MakeRatios()
    {
        var seconds = Positive(new Option<double>("--seconds") { Description = "Length of one round of one subject.", DefaultValueFactory = _ => 3 });
        var rounds = Positive(new Option<int>("--rounds") { Description = "Interleaved rounds; medians count.", DefaultValueFactory = _ => 5 });
        var check = new Option<bool>("--check") { Description = "Exit with 1 where a figure is missed or not measured, or a call failed." };
        var command = new Command("ratios", "The table of figures: closed loops beside raw signatures, openssl, SoftHSM2, Kestrel and oidc-provider.") { seconds, rounds, check, Out };
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var options = new RatioOptions(TimeSpan.FromSeconds(arguments.GetValue(seconds)), arguments.GetValue(rounds), Said(arguments));
            var measured = await new RatioRun(options, Console.Out).RunAsync(cancellationToken);
            var table = new FigureTable(measured);
            await Console.Out.WriteLineAsync("\n" + table.Markdown());
            await KeepAsync(arguments.GetValue(Out), $"{measured.Machine.At:yyyy-MM-dd}-ratios", cancellationToken, (".md", table.Markdown()), (".json", table.Json()));
            return ExitCode.Of(table.AllMet || !arguments.GetValue(check));
        });
        return command;
    }

    private static Command MakeRun()
    {
        var names = new Argument<string[]>("scenario") { Description = "Names of scenarios; see list.", Arity = ArgumentArity.OneOrMore };
        var protocol = new Option<Protocol>("--protocol") { Description = "http1, http2 or grpc; flows that are of HTTP by what they are (key sets, kids) stay on HTTP/1.1, and the report names what was used.", DefaultValueFactory = _ => Protocol.Http1 };
        var time = Positive(new Option<double>("--time") { Description = "Multiplies a scenario's times.", DefaultValueFactory = _ => 1 });
        var rate = Positive(new Option<double>("--rate") { Description = "Multiplies a scenario's rates.", DefaultValueFactory = _ => 1 });
        var seed = new Option<int>("--seed") { Description = "Of the arrivals; the same seed gives the same arrivals.", DefaultValueFactory = _ => 1 };
        var url = new Option<Uri?>("--url") { Description = "A service that runs; without it one is started.", CustomParser = ReadUrl };
        var grpcUrl = new Option<Uri?>("--grpc-url") { Description = "Its address for HTTP/2 without TLS.", CustomParser = ReadUrl };
        var remote = new Option<bool>("--allow-remote") { Description = "Load an address that is not this machine's. Only where you may." };
        var postgres = new Option<bool>("--postgres") { Description = "Start the service on a PostgreSQL of its own instead of SQLite." };
        var command = new Command("run", "Runs scenarios: open loop, latency from the intended time. Exits with 1 where a threshold is missed, 3 or 130 where it was aborted.")
        {
            names, protocol, time, rate, seed, url, grpcUrl, remote, postgres, Out,
        };
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var options = new RunOptions(arguments.GetValue(protocol), arguments.GetValue(time), arguments.GetValue(rate), arguments.GetValue(seed), Said(arguments));
            var series = new ScenarioSeries(options, arguments.GetValue(Out), Console.Out, isTerminal: !Console.IsOutputRedirected);
            return await series.RunAsync([.. arguments.GetValue(names)!.Select(AllScenarios.Find)], SetStage, cancellationToken);

            Task<Stage> SetStage(Scenario scenario) => arguments.GetValue(url) is { } named
                ? Stage.AtAsync(scenario, named, arguments.GetValue(grpcUrl), arguments.GetValue(remote), cancellationToken)
                : Stage.SetAsync(scenario, arguments.GetValue(postgres), cancellationToken);
        });
        return command;
    }

    private static Command MakeList()
    {
        var command = new Command("list", "The scenarios.");
        command.SetAction(_ =>
        {
            foreach (var scenario in AllScenarios.List)
                Console.WriteLine($"{scenario.Name,-20} {scenario.About}");
        });
        return command;
    }

    private static Command MakeGrowth()
    {
        var curves = new Argument<string[]>("curve") { Description = "What grows; without it keys, then audit records.", DefaultValueFactory = _ => [Curve.Keys, Curve.Audit] };
        curves.AcceptOnlyFromAmong(Curve.All);
        var keys = Positive(new Option<int>("--keys") { Description = "Keys in the end; in the curve of policies each has one.", DefaultValueFactory = _ => 10_000 });
        var rows = Positive(new Option<long>("--audit-rows") { Description = "Audit records in the end.", DefaultValueFactory = _ => 1_000_000 });
        var statements = Positive(new Option<int>("--statements") { Description = "Statements of the service's policies in the end; it takes 16,384.", DefaultValueFactory = _ => 10_000 });
        var nodes = Positive(new Option<int>("--nodes") { Description = "Nodes on one PostgreSQL in the end.", DefaultValueFactory = _ => 8 });
        var postgres = new Option<bool>("--postgres") { Description = "On a PostgreSQL of its own instead of SQLite." };
        var command = new Command("growth", "Makes more and more of something, and asks the same questions at each size.") { curves, keys, rows, statements, nodes, postgres, Out };
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var options = new GrowthOptions(
                arguments.GetValue(curves)!, arguments.GetValue(keys), arguments.GetValue(rows), arguments.GetValue(statements), arguments.GetValue(nodes),
                arguments.GetValue(postgres), GrowthEffort.Full, Said(arguments));
            var held = true;
            await foreach (var result in new GrowthRun(options, Console.Out).RunAsync(cancellationToken))
            {
                await Console.Out.WriteLineAsync("\n" + GrowthReport.Markdown(result));
                await KeepAsync(
                    arguments.GetValue(Out), $"{result.Machine.At:yyyy-MM-dd}-growth-{result.Name}", cancellationToken,
                    (".md", GrowthReport.Markdown(result)), (".json", GrowthReport.Json(result)), (".html", GrowthReport.Html(result)));
                held &= !GrowthReport.Missed(result).Any();
            }

            return ExitCode.Of(held);
        });
        return command;
    }

    private static Command MakeTelemetry()
    {
        var seconds = Positive(new Option<double>("--seconds") { Description = "Length of one round of one subject.", DefaultValueFactory = _ => 4 });
        var rounds = Positive(new Option<int>("--rounds") { Description = "Interleaved rounds; medians count.", DefaultValueFactory = _ => 9 });
        var command = new Command("telemetry", "What telemetry costs of the service's CPU for a token: with and without, in turn.") { seconds, rounds, Out };
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var cost = new TelemetryCost(new RatioOptions(TimeSpan.FromSeconds(arguments.GetValue(seconds)), arguments.GetValue(rounds), Said(arguments)), Console.Out);
            await cost.RunAsync(cancellationToken);
            await Console.Out.WriteLineAsync("\n" + cost.Markdown());
            await KeepAsync(arguments.GetValue(Out), $"{TimeProvider.System.GetUtcNow():yyyy-MM-dd}-telemetry", cancellationToken, (".md", cost.Markdown()));
        });
        return command;
    }

    private static Command MakeConstant()
    {
        var bytes = new Argument<int>("bytes") { Description = "Length of the answer." };
        var command = new Command(ConstantEndpoint.Verb, "Serves one answer that is always the same, on a free port, until it is ended.") { bytes };
        command.SetAction(async (arguments, cancellationToken) => await ConstantEndpoint.ServeAsync(arguments.GetValue(bytes), cancellationToken));
        return command;
    }

    private static Command MakeIssuer()
    {
        var command = new Command(BareIssuer.Verb, "Issues tokens to whoever asks and records nothing, on a free port, until it is ended: the least that a token over HTTP costs.");
        command.SetAction(async (_, cancellationToken) => await BareIssuer.ServeAsync(cancellationToken));
        return command;
    }

    /// <summary>What is nothing, or less, measures nothing. What is no number at all is told by the parser.</summary>
    private static Option<T> Positive<T>(Option<T> option)
        where T : INumber<T>
    {
        option.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && T.TryParse(token.Value, CultureInfo.InvariantCulture, out var value) && !(value > T.Zero && T.IsFinite(value)))
                result.AddError($"{option.Name} is a number above 0.");
        });
        return option;
    }

    private static Uri? ReadUrl(ArgumentResult argument)
    {
        if (Uri.TryCreate(argument.Tokens[0].Value, UriKind.Absolute, out var url) && url.Scheme is "http")
            return url;
        argument.AddError($"{argument.Tokens[0].Value} is not an http address.");
        return null;
    }

    /// <summary>As anybody can say it again; where reports go is nobody's business.</summary>
    private static string Said(ParseResult arguments)
    {
        var words = arguments.Tokens.Select(t => t.Value).ToList();
        if (words.IndexOf("--out") is >= 0 and var at)
            words.RemoveRange(at, Math.Min(2, words.Count - at));
        return $"dotnet run -c Release --project load/SignSvc.Load -- {string.Join(' ', words)}";
    }

    private static async Task KeepAsync(string? folder, string name, CancellationToken cancellationToken, params (string Ending, string Text)[] files)
    {
        if (folder is null)
            return;
        Directory.CreateDirectory(folder);
        foreach (var (ending, text) in files)
            await File.WriteAllTextAsync(Path.Combine(folder, name + ending), text, cancellationToken);
    }
}
