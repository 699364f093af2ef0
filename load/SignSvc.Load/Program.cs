using System.CommandLine;
using SignSvc.Load;

// Read once, before the first socket: answers are handled where they arrive, which leaves more of the machine to the service.
Environment.SetEnvironmentVariable(DriverSettings.InlineCompletions, "1");
try
{
    var command = CommandLine.Make().Parse(args.Length == 0 ? ["ratios", "--seconds", "2", "--rounds", "1"] : args);
    return await command.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (Exception e) when (e is UsageException or InvalidOperationException or FileNotFoundException)
{
    // What is missing, wrong or refused, in words for whoever asked.
    await Console.Error.WriteLineAsync(e.Message);
    return 2;
}
