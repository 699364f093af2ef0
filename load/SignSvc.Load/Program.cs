using SignSvc.Load;

// Read once, before the first socket: answers are handled where they arrive, which leaves more of the machine to the service.
Environment.SetEnvironmentVariable("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1");
return await CommandLine.Make().Parse(args.Length == 0 ? ["ratios", "--seconds", "2", "--rounds", "1"] : args).InvokeAsync();
