using System.ComponentModel;
using System.Reflection;
using SignSvc.Operations;

namespace SignSvc;

/// <param name="Settings">As far as they could be read.</param>
/// <param name="Faults">Every unknown and every wrong setting, in words; empty where all is well.</param>
public sealed record ReadSettings(Settings Settings, IReadOnlyList<string> Faults)
{
    /// <summary>For the start: with the faults of what the settings name, so that everything is said at once.</summary>
    /// <exception cref="StartException">Names every fault.</exception>
    public Settings Require(IConfiguration configuration)
    {
        string[] all = [.. Faults, .. SettingsSurroundings.Faults(configuration, Settings)];
        return all.Length == 0
            ? Settings
            : throw new StartException($"The settings are wrong:\n{string.Join('\n', all.Select(f => $"  - {f}"))}");
    }
}

public static class SettingsReader
{
    private const string Section = "SignSvc";

    public static ReadSettings Read(IConfiguration configuration)
    {
        var section = configuration.GetSection(Section);
        var wrong = Wrong(section, typeof(Settings)).ToDictionary(w => w.Path, w => w.Fault, StringComparer.OrdinalIgnoreCase);
        var faults = wrong.Select(w => $"{w.Key} {w.Value}").ToList();
        // The rest is bound all the same, so that what is wrong with it is named too.
        var readable = section.AsEnumerable().Where(s => s.Value is not null && !wrong.ContainsKey(s.Key));
        var settings = new Settings();
        new ConfigurationBuilder().AddInMemoryCollection(readable).Build().GetSection(Section).Bind(settings);

        if (Environment.GetEnvironmentVariable("SIGNSVC_DATA") is { Length: > 0 } data)
            settings.Data = data;
        settings.Data = Path.GetFullPath(settings.Data);
        faults.AddRange(settings.Check());
        return new ReadSettings(settings, faults);
    }

    /// <summary>Walks the settings as they are written beside the types that they are meant for.</summary>
    private static IEnumerable<(string Path, string Fault)> Wrong(IConfigurationSection section, Type type)
    {
        foreach (var child in section.GetChildren())
        {
            var property = type.GetProperty(child.Key, BindingFlags.IgnoreCase | BindingFlags.Instance | BindingFlags.Public);
            var isSetting = property is not null && (property.CanWrite || property.PropertyType.IsGenericType);
            var faults = !isSetting ? [(child.Path, "is not a setting.")] : WrongValue(child, property!.PropertyType);
            foreach (var fault in faults)
                yield return fault;
        }
    }

    private static IEnumerable<(string Path, string Fault)> WrongValue(IConfigurationSection setting, Type type)
    {
        if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IList<>))
            return setting.GetChildren().SelectMany(item => WrongValue(item, type.GetGenericArguments()[0]));
        if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IDictionary<,>))
            return setting.GetChildren().SelectMany(item => WrongValue(item, type.GetGenericArguments()[1]));
        if (type.IsClass && !TypeDescriptor.GetConverter(type).CanConvertFrom(typeof(string)))
            return string.IsNullOrEmpty(setting.Value) ? Wrong(setting, type) : [(setting.Path, "is a section, not a value.")];
        if (setting.GetChildren().FirstOrDefault() is { } beneath)
            return [(beneath.Path, "is not a setting.")];
        return setting.Value is { } value && !TypeDescriptor.GetConverter(type).IsValid(value)
            ? [(setting.Path, $"cannot be '{value}'.")]
            : [];
    }
}
