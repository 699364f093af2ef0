using SignSvc.Load;
using SignSvc.Load.Ratios;

// Before the first socket. What stands beside the service is no driver.
if (args is not [ConstantEndpoint.Verb or BareIssuer.Verb, ..])
    DriverSettings.Apply();
return await CommandLine.InvokeAsync(args.Length == 0 ? ["ratios", "--seconds", "2", "--rounds", "1"] : args, Console.Error);
