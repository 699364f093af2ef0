using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace SignSvc.Operations;

/// <summary>
/// Every setting with its type, default and meaning, as Markdown: from the classes that are bound and from their XML
/// documentation, which lies beside the program. It cannot name a setting that does not exist, nor leave one out.
/// </summary>
internal static partial class SettingsReference
{
    public static string Write()
    {
        var text = new StringBuilder();
        text.Append(
            """
            # Configuration

            Every setting of the section `SignSvc`: in `appsettings.json` beside the program, or as a variable (which wins), with `__`
            between the parts: `SignSvc__Store__Postgres`. A number in a name counts the entries of a list from 0. What is not named here,
            or is out of its bounds, stops the start, and every fault is named at once; `dotnet SignSvc.dll --check` only looks and ends
            with 0 or 1.

            Beside them: `SIGNSVC_DATA` (the data folder), `SIGNSVC_SETTINGS` (a JSON file like `appsettings.json` in a place of yours, which
            goes before that one and after variables), `ASPNETCORE_URLS` (addresses of HTTP), `Kestrel__Certificates__Default__Path`,
            `__KeyPath` and `__Password`, `Logging__LogLevel__…`.

            **Without a restart.** The two files are looked at every second, and on SIGHUP. What the column *counts* calls *live* is taken
            over while the service runs; so are `Logging:LogLevel` and, when their files change, the service's certificate, the CAs and
            revocation lists of client certificates, issuers' key files and PINs and passwords in files. The rest counts from the next *start*,
            and the log names what has changed and waits for it, at every change anew (event 1152). Settings in which anything is wrong are refused whole: the old ones stay,
            the log says why (event 1153), `signsvc_settings_refused` is 1. Variables cannot change while a process lives.

            This page is written by `dotnet run --project src/SignSvc -- --settings > docs/configuration.md`.

            """);
        AddSection(text, "", typeof(Settings), new Settings());
        return text.ToString();
    }

    private static void AddSection(StringBuilder text, string path, Type type, object? defaults, bool isLive = false)
    {
        text.Append(CultureInfo.InvariantCulture, $"\n## {(path.Length == 0 ? "SignSvc" : path)}\n\n");
        if (SummaryOf($"T:{NameOf(type)}", type) is { Length: > 0 } about && path.Length > 0)
            text.Append(about).Append("\n\n");
        text.Append("| setting | type | default | counts | |\n|---|---|---|---|---|\n");
        var sections = new List<(string Path, Type Type, object? Defaults, bool IsLive)>();
        foreach (var property in type.GetProperties(BindingFlags.Instance | BindingFlags.Public | BindingFlags.DeclaredOnly))
        {
            var name = path.Length == 0 ? property.Name : $"{path}__{property.Name}";
            var kind = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
            var item = ItemOf(kind);
            var counts = isLive || property.IsDefined(typeof(ReloadableAttribute));
            if (!property.CanWrite && !IsFilled(kind))
                continue;
            if (item is not null && IsSection(item))
                sections.Add(($"{name}{Entry(kind)}", item, Make(item), counts));
            else if (IsSection(kind))
                sections.Add((name, kind, defaults is null ? Make(kind) : property.GetValue(defaults) ?? Make(kind), counts));
            else
                AddSetting(text, item is null ? name : $"{name}{Entry(kind)}", item ?? kind, property, defaults is null ? null : property.GetValue(defaults), counts);
        }

        foreach (var (sectionPath, section, value, counts) in sections)
            AddSection(text, sectionPath, section, value, counts);
    }

    private static void AddSetting(StringBuilder text, string name, Type type, PropertyInfo property, object? value, bool isLive)
    {
        var meaning = SummaryOf($"P:{NameOf(property.DeclaringType!)}.{property.Name}", property.DeclaringType!);
        text.Append(CultureInfo.InvariantCulture, $"| `{name}` | {TypeName(type)} | {DefaultText(value)} | {(isLive ? "live" : "start")} | {meaning} |\n");
    }

    private static string DefaultText(object? value) => value switch
    {
        null => "",
        "" => "empty",
        // One that has to be named.
        Enum choice when !Enum.IsDefined(choice.GetType(), choice) => "",
        bool truth => truth ? "`true`" : "`false`",
        IDictionary entries => string.Join(", ", entries.Keys.Cast<string>().Order(StringComparer.Ordinal).Select(k => $"`{k}`: `{Convert.ToString(entries[k], CultureInfo.InvariantCulture)}`")),
        IEnumerable entries and not string => string.Join(", ", entries.Cast<object>().Select(DefaultText)),
        _ => $"`{Convert.ToString(value, CultureInfo.InvariantCulture)}`",
    };

    private static string TypeName(Type type) => type switch
    {
        _ when type == typeof(string) => "text",
        _ when type == typeof(Uri) => "URL",
        _ when type == typeof(bool) => "`true`, `false`",
        _ when type == typeof(double) => "number",
        _ when type == typeof(TimeSpan) => "`d.hh:mm:ss`",
        { IsEnum: true } => string.Join(", ", Enum.GetNames(type).Select(n => $"`{n}`")),
        _ => "whole number",
    };

    private static bool IsSection(Type type) => type.IsClass && type != typeof(string) && type != typeof(Uri) && ItemOf(type) is null;

    /// <summary>A collection without a setter is a setting where entries can be added to it.</summary>
    private static bool IsFilled(Type type) =>
        type.IsGenericType && (type.GetGenericTypeDefinition() == typeof(IList<>) || type.GetGenericTypeDefinition() == typeof(IDictionary<,>));

    /// <summary>What stands for one entry: a name in a dictionary, a number in a list.</summary>
    private static string Entry(Type type) =>
        type.IsGenericType && type.GetGenericTypeDefinition().Name.Contains("Dictionary", StringComparison.Ordinal) ? "__NAME" : "__0";

    /// <summary>Of a list or dictionary what it holds; else null.</summary>
    private static Type? ItemOf(Type type) => type.IsArray ? type.GetElementType()
        : type.IsGenericType && type.IsAssignableTo(typeof(IEnumerable)) ? type.GetGenericArguments()[^1]
        : null;

    private static object? Make(Type type) => type.GetConstructor(Type.EmptyTypes) is null ? null : Activator.CreateInstance(type);

    private static string NameOf(Type type) => type.FullName!.Replace('+', '.');

    private static string SummaryOf(string member, Type type)
    {
        var file = Path.ChangeExtension(type.Assembly.Location, ".xml");
        if (!File.Exists(file))
            throw new StartException($"{file} is missing: the reference is written from it.");
        var summary = XDocument.Load(file).Descendants("member")
            .FirstOrDefault(m => string.Equals((string?)m.Attribute("name"), member, StringComparison.Ordinal))?.Element("summary");
        return summary is null ? "" : Spaces().Replace(string.Concat(summary.Nodes().Select(TextOf)), " ").Trim().Replace("|", "\\|", StringComparison.Ordinal);
    }

    private static string TextOf(XNode node) => node switch
    {
        XText plain => plain.Value,
        XElement { Name.LocalName: "c" } code => $"`{code.Value}`",
        XElement { Name.LocalName: "see" } see => $"`{((string?)see.Attribute("cref") ?? "").Split('.')[^1]}`",
        XElement { Name.LocalName: "paramref" } name => $"`{(string?)name.Attribute("name")}`",
        XElement other => other.Value,
        _ => "",
    };

    [GeneratedRegex(@"\s+", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Spaces();
}
