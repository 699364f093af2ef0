using System.Collections.Immutable;
using System.Globalization;

namespace SignSvc.Signing.Access.Policies;

internal enum Comparison
{
    TextEquals,
    TextLike,
    NumberEquals,
    NumberLess,
    NumberLessOrEqual,
    NumberGreater,
    NumberGreaterOrEqual,
    TimeEquals,
    TimeLess,
    TimeLessOrEqual,
    TimeGreater,
    TimeGreaterOrEqual,
    Boolean,
    Address,
    Exists,
}

internal enum Quantifier
{
    /// <summary>As allows less: in an allow every value has to fit, in a deny one is enough.</summary>
    Cautious,
    Any,
    All,
}

/// <summary>An operator as conditions write it, in parts: <c>forAnyValue:stringNotLikeIgnoreCaseIfExists</c>.</summary>
internal readonly record struct ConditionOperator(
    Comparison Comparison, bool IsNegated, bool IgnoresCase, bool IfExists, Quantifier Quantifier)
{
    private static readonly Dictionary<string, (Comparison, bool Negated, bool IgnoreCase)> Known = new(StringComparer.OrdinalIgnoreCase)
    {
        ["stringEquals"] = (Comparison.TextEquals, false, false),
        ["stringNotEquals"] = (Comparison.TextEquals, true, false),
        ["stringEqualsIgnoreCase"] = (Comparison.TextEquals, false, true),
        ["stringNotEqualsIgnoreCase"] = (Comparison.TextEquals, true, true),
        ["stringLike"] = (Comparison.TextLike, false, false),
        ["stringNotLike"] = (Comparison.TextLike, true, false),
        ["stringLikeIgnoreCase"] = (Comparison.TextLike, false, true),
        ["stringNotLikeIgnoreCase"] = (Comparison.TextLike, true, true),
        ["numericEquals"] = (Comparison.NumberEquals, false, false),
        ["numericNotEquals"] = (Comparison.NumberEquals, true, false),
        ["numericLessThan"] = (Comparison.NumberLess, false, false),
        ["numericLessThanEquals"] = (Comparison.NumberLessOrEqual, false, false),
        ["numericGreaterThan"] = (Comparison.NumberGreater, false, false),
        ["numericGreaterThanEquals"] = (Comparison.NumberGreaterOrEqual, false, false),
        ["dateEquals"] = (Comparison.TimeEquals, false, false),
        ["dateNotEquals"] = (Comparison.TimeEquals, true, false),
        ["dateLessThan"] = (Comparison.TimeLess, false, false),
        ["dateLessThanEquals"] = (Comparison.TimeLessOrEqual, false, false),
        ["dateGreaterThan"] = (Comparison.TimeGreater, false, false),
        ["dateGreaterThanEquals"] = (Comparison.TimeGreaterOrEqual, false, false),
        ["bool"] = (Comparison.Boolean, false, false),
        ["ipAddress"] = (Comparison.Address, false, false),
        ["notIpAddress"] = (Comparison.Address, true, false),
        ["exists"] = (Comparison.Exists, false, false),
        ["null"] = (Comparison.Exists, true, false),
    };

    public static IEnumerable<string> Names => Known.Keys;

    public static ConditionOperator? Find(string text)
    {
        var name = text.AsSpan();
        var quantifier = Quantifier.Cautious;
        if (TakePrefix(ref name, "forAnyValue:"))
            quantifier = Quantifier.Any;
        else if (TakePrefix(ref name, "forAllValues:"))
            quantifier = Quantifier.All;
        var ifExists = name.EndsWith("IfExists", StringComparison.OrdinalIgnoreCase);
        if (ifExists)
            name = name[..^"IfExists".Length];
        if (!Known.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(name, out var known))
            return null;
        var op = new ConditionOperator(known.Item1, known.Negated, known.IgnoreCase, ifExists, quantifier);
        return op.Comparison == Comparison.Exists && (ifExists || quantifier != Quantifier.Cautious) ? null : op;
    }

    private static bool TakePrefix(ref ReadOnlySpan<char> name, string prefix)
    {
        if (!name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
            return false;
        name = name[prefix.Length..];
        return true;
    }
}

/// <summary>A condition that is ready to be asked. Nothing is parsed and nothing allocated but where the value is a token's claim or an address.</summary>
/// <remarks>
/// A missing fact fits a negated operator and <c>IfExists</c>, and no other, as with AWS; <c>forAllValues</c> holds of no
/// values at all. A value that an operator cannot read (a text that is no number) fails an allow and fits a deny or limit.
/// </remarks>
internal sealed class Condition
{
    private readonly ConditionOperator _operator;
    private readonly ImmutableArray<string> _texts;
    private readonly decimal[] _numbers;
    private readonly DateTimeOffset[] _times;
    private readonly Network[] _networks;
    private readonly bool _wanted;

    private Condition(PolicyCondition source, ConditionOperator op, Fact fact, string what)
    {
        Source = source;
        Fact = fact;
        _operator = op;
        _texts = source.Values;
        _numbers = op.Comparison is >= Comparison.NumberEquals and <= Comparison.NumberGreaterOrEqual
            ? Parse<decimal>(what, "number", (string t, out decimal n) => decimal.TryParse(t, NumberStyles.Float, CultureInfo.InvariantCulture, out n))
            : [];
        _times = op.Comparison is >= Comparison.TimeEquals and <= Comparison.TimeGreaterOrEqual
            ? Parse<DateTimeOffset>(what, "RFC 3339 time", Moments.TryParse)
            : [];
        _networks = op.Comparison == Comparison.Address ? Parse<Network>(what, "address or network (without host bits)", Network.TryParse) : [];
        if (op.Comparison is Comparison.Boolean or Comparison.Exists)
        {
            var wishes = Parse<bool>(what, "true or false", bool.TryParse);
            PolicyReader.Require(wishes.Length == 1, $"{what}: {source.Operator} takes one value.");
            _wanted = wishes[0];
        }
    }

    private delegate bool TryParse<T>(string text, out T value);

    public PolicyCondition Source { get; }

    public Fact Fact { get; }

    public bool IsForAllValues => _operator.Quantifier == Quantifier.All;

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: an unknown operator or fact, or a value that the operator cannot read.</exception>
    public static Condition Compile(PolicyCondition source, string what)
    {
        var op = ConditionOperator.Find(source.Operator)
            ?? throw PolicyReader.Refused($"{what}: there is no operator {source.Operator}.");
        var fact = Fact.Find(source.Fact)
            ?? throw PolicyReader.Refused($"{what}: there is no fact {source.Fact}; there are {string.Join(", ", Fact.Names)}.");
        return new Condition(source, op, fact, what);
    }

    public bool Holds(in AccessRequest request, PolicyEffect effect)
    {
        var values = FactValues.Of(Fact, request);
        if (_operator.Comparison == Comparison.Exists)
            return (values.Count > 0) == (_wanted != _operator.IsNegated);
        if (values.Count == 0)
        {
            return _operator.IfExists || _operator.Quantifier switch
            {
                Quantifier.Any => false,
                Quantifier.All => true,
                _ => _operator.IsNegated,
            };
        }

        var oneIsEnough = _operator.Quantifier == Quantifier.Any || (_operator.Quantifier == Quantifier.Cautious && effect != PolicyEffect.Allow);
        for (var i = 0; i < values.Count; i++)
        {
            if (HoldsFor(values[i], effect) == oneIsEnough)
                return oneIsEnough;
        }

        return !oneIsEnough;
    }

    private bool HoldsFor(in FactValue value, PolicyEffect effect) =>
        Fits(value) is { } fits ? fits != _operator.IsNegated : effect != PolicyEffect.Allow;

    /// <returns>Null: the value cannot be read as the operator needs it.</returns>
    private bool? Fits(in FactValue value)
    {
        switch (_operator.Comparison)
        {
            case Comparison.TextEquals or Comparison.TextLike:
                return FitsText(value.Text(stackalloc char[FactValue.TextBuffer]));
            case >= Comparison.NumberEquals and <= Comparison.NumberGreaterOrEqual:
                return value.TryGetNumber(out var number) ? FitsNumber(number) : null;
            case >= Comparison.TimeEquals and <= Comparison.TimeGreaterOrEqual:
                return value.TryGetTime(out var time) ? FitsTime(time) : null;
            case Comparison.Boolean:
                return bool.TryParse(value.Text(stackalloc char[FactValue.TextBuffer]), out var flag) ? flag == _wanted : null;
            case Comparison.Address:
                return value.TryGetAddress(out var address) ? IsWithin(address) : null;
            default:
                return null;
        }
    }

    private bool FitsText(ReadOnlySpan<char> text)
    {
        foreach (var wanted in _texts)
        {
            var fits = _operator.Comparison == Comparison.TextLike
                ? Wildcard.Matches(wanted, text, _operator.IgnoresCase)
                : text.Equals(wanted, _operator.IgnoresCase ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal);
            if (fits)
                return true;
        }

        return false;
    }

    private bool FitsNumber(decimal number)
    {
        foreach (var wanted in _numbers)
        {
            if (FitsOrder(_operator.Comparison - Comparison.NumberEquals, number.CompareTo(wanted)))
                return true;
        }

        return false;
    }

    private bool FitsTime(DateTimeOffset time)
    {
        foreach (var wanted in _times)
        {
            if (FitsOrder(_operator.Comparison - Comparison.TimeEquals, time.CompareTo(wanted)))
                return true;
        }

        return false;
    }

    /// <param name="relation">Equal, less, less or equal, greater, greater or equal: as both enumerations order them.</param>
    private static bool FitsOrder(int relation, int order) => relation switch
    {
        0 => order == 0,
        1 => order < 0,
        2 => order <= 0,
        3 => order > 0,
        _ => order >= 0,
    };

    private bool IsWithin(UInt128 address)
    {
        foreach (var network in _networks)
        {
            if (network.Contains(address))
                return true;
        }

        return false;
    }

    private T[] Parse<T>(string what, string kind, TryParse<T> parse)
    {
        var parsed = new T[_texts.Length];
        for (var i = 0; i < parsed.Length; i++)
            PolicyReader.Require(parse(_texts[i], out parsed[i]), $"{what}: {Source.Operator} {Source.Fact} takes a {kind}, not {_texts[i]}.");
        return parsed;
    }
}
