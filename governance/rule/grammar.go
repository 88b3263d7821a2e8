package rule

import (
	"errors"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"
)

// sentence is a list of phrases. The grammar says what a phrase is; which phrases
// make a clause together is decided in clauses.go, as English puts them in any
// order ("ask first if a refund is over $100", "refunds over $100: ask first").
type sentence struct {
	Items []*item `parser:"@@+"`
}

type item struct {
	Pos    lexer.Position
	EndPos lexer.Position

	Break      bool              `parser:"  @(Sep|Stop)"`
	And        bool              `parser:"| @And"`
	Or         bool              `parser:"| @Or"`
	Unapproved *unapprovedPhrase `parser:"| @@"`
	Only       bool              `parser:"| @(Only|Must)"`
	Otherwise  bool              `parser:"| @Otherwise"`
	Beyond     string            `parser:"| @(Above|Below)"`
	Unless     bool              `parser:"| @Unless"`
	With       bool              `parser:"| @With"`
	May        bool              `parser:"| @May"`
	Zone       string            `parser:"| @Zone"`
	AnyMoney   bool              `parser:"| @AnyCurrency"`
	Window     string            `parser:"| @Window"`
	Per        *perPhrase        `parser:"| @@"`
	Times      bool              `parser:"| @Times"`
	Total      bool              `parser:"| @Total"`
	Limit      bool              `parser:"| @Limit"`
	Compare    *comparePhrase    `parser:"| @@"`
	Hours      *hoursPhrase      `parser:"| @@"`
	Days       *daysPhrase       `parser:"| @@"`
	Values     *valuesPhrase     `parser:"| @@"`
	Text       *textPhrase       `parser:"| @@"`
	Truth      string            `parser:"| @Truth"`
	Origin     *originPhrase     `parser:"| @@"`
	Role       *rolePhrase       `parser:"| @@"`
	Effect     *effectPhrase     `parser:"| @@"`
	Called     bool              `parser:"| @(Called|First)"`
	NotCalled  bool              `parser:"| @NotCalled"`
	Was        bool              `parser:"| @Was"`
	WasNot     bool              `parser:"| @WasNot"`
	After      bool              `parser:"| @After"`
	Before     bool              `parser:"| @(Before|Without)"`
	Any        bool              `parser:"| @Any"`
	Tool       string            `parser:"| @Tool"`
	Phrase     []string          `parser:"| @(Word|Noun|User|Head|Department|TheHead|TheDepartment) (Poss? @(Word|Head|Department))*"`
}

// unapprovedPhrase: without approval, without a manager's approval, unless a
// manager approves, only with approval.
type unapprovedPhrase struct {
	Asking   bool         `parser:"(  @(Asking|UnlessApproved)"`
	Approval bool         `parser:" | (Without | Only With) ( @Approval"`
	By       *ownerPhrase `parser:"             @@?"`
	Whose    *ownerPhrase `parser:"           | @@ Poss? Approval )"`
	Approver *ownerPhrase `parser:" | Unless (  @@ Confirms"`
	ByWhom   *ownerPhrase `parser:"           | ApprovedBy @@ ) )"`
}

// perPhrase: per customer, by the same requester, in the same conversation.
type perPhrase struct {
	Conversation bool     `parser:"Per (  @Conversation"`
	User         bool     `parser:"     | @User"`
	Words        []string `parser:"     | @(Word|Noun|Tool) @Word* )"`
}

// comparePhrase: over $100, between 5 and 10, 3 or more.
type comparePhrase struct {
	Op      string        `parser:"(  @Compare"`
	Value   *amountPhrase `parser:"   @@"`
	Low     *amountPhrase `parser:" | Between @@"`
	High    *amountPhrase `parser:"   And @@"`
	Least   *amountPhrase `parser:" | @@"`
	LeastOp string        `parser:"   @Suffix?"`
	Often   string        `parser:" | @CompareTimes )"`
}

type amountPhrase struct {
	Money  string `parser:"  @Money"`
	Figure string `parser:"| @Figure"`
}

// hoursPhrase: after 5pm, before 9:30, between 9am and 5pm, 9am to 5pm, outside
// 9am-5pm.
type hoursPhrase struct {
	After   string `parser:"(  After @Clock"`
	Before  string `parser:" | Before @Clock"`
	Outside bool   `parser:" | (@Outside | Between)?"`
	From    string `parser:"   @Clock"`
	To      string `parser:"   (And|Dash)? @Clock )"`
}

// daysPhrase: Fridays, Saturdays and Sundays, not weekends.
type daysPhrase struct {
	Not  bool     `parser:"@Not?"`
	Days []string `parser:"@Day ((And|Or|Sep)+ @Day)*"`
}

// valuesPhrase: USD or EUR, not "gift", outside the EU.
type valuesPhrase struct {
	Not    bool           `parser:"@(Not|Outside)?"`
	Values []*valuePhrase `parser:"@@ ((And|Or|Sep)+ @@)*"`
}

type valuePhrase struct {
	Currency string `parser:"  @Currency"`
	Value    string `parser:"| @Value"`
	Quoted   string `parser:"| @Quoted"`
	Country  string `parser:"| @Country"`
	Group    string `parser:"| @Group"`
	Domain   string `parser:"| @Domain"`
}

// textPhrase: containing "rm -rf", not starting with "src/" or "docs/".
type textPhrase struct {
	Not    bool     `parser:"@Not?"`
	Op     string   `parser:"@Text"`
	Values []string `parser:"@Quoted ((And|Or|Sep)+ @Quoted)*"`
}

// originPhrase: the user gave, the user did not give, not given by the user, came
// from a tool result, came from get_order, made up by the model.
type originPhrase struct {
	Gave     bool   `parser:"(  User (@Gave"`
	NotGave  bool   `parser:"         | @NotGave)"`
	Tool     bool   `parser:" | @FromTool"`
	NotTool  bool   `parser:" | @NotFromTool"`
	Model    bool   `parser:" | @FromModel"`
	NotModel bool   `parser:" | @NotFromModel"`
	From     bool   `parser:" | (@From"`
	NotFrom  bool   `parser:"   | @NotFrom)"`
	Named    string `parser:"   @Tool"`
	Not      bool   `parser:" | @(Not|WasNot)?"`
	Given    bool   `parser:"   @Given )"`
}

// rolePhrase: the requester is a refund lead, the requester has the role "x".
type rolePhrase struct {
	Not   bool     `parser:"User (  @Not?"`
	Words []string `parser:"        (@(Noun|Word|Department|TheDepartment) @(Word|Department)? @Head | @(Head|TheHead))"`
	Has   bool     `parser:"      | (@HasRole"`
	Lacks bool     `parser:"        | @LacksRole)"`
	Named string   `parser:"        @(Quoted|Word|Noun|Department|Head|TheDepartment|TheHead) )"`
}

// effectPhrase: ask first, needs a manager's approval, a reviewer's.
type effectPhrase struct {
	Word     string       `parser:"(  @Effect"`
	Need     bool         `parser:" | @Need ( Approval"`
	By       *ownerPhrase `parser:"          @@?"`
	Whose    *ownerPhrase `parser:"         | @@ Poss? Approval? )"`
	Approved bool         `parser:" | @Approved"`
	ByWhom   *ownerPhrase `parser:"   @@?"`
	Escalate bool         `parser:" | @Escalate"`
	ToWhom   *ownerPhrase `parser:"   @@?"`
	Approver *ownerPhrase `parser:" | @@ (Approves|Confirms)"`
	ReqBy    *ownerPhrase `parser:" | ((@@ Poss?)?"`
	Required bool         `parser:"    Approval @Required)"`
	Elliptic *ownerPhrase `parser:" | @@ Poss Approval? )"`
}

// ownerPhrase: who approves.
type ownerPhrase struct {
	User       bool     `parser:"(  @User"`
	Department string   `parser:" | @(Department|TheDepartment)"`
	Of         string   `parser:"   @Head?"`
	Words      []string `parser:" | (@(Noun|Word) @Word? @Head | @(Head|TheHead)) )"`
}

var parser = participle.MustBuild[sentence](participle.Lexer(definition{symbols}), participle.UseLookahead(participle.MaxLookahead))

// syntaxError is where the grammar could not go on, as a token's number.
type syntaxError struct{ at int }

func parse(list []token) (*sentence, *syntaxError) {
	stream, err := lexer.Upgrade(&tokens{list: list})
	if err != nil {
		return nil, &syntaxError{0}
	}
	parsed, err := parser.ParseFromLexer(stream)
	if err == nil {
		return parsed, nil
	}
	at := 0
	var problem participle.Error
	if errors.As(err, &problem) {
		at = max(0, problem.Position().Column-1)
	}
	return nil, &syntaxError{at}
}

// place is the range of tokens of an item.
func (i *item) place() span { return span{i.Pos.Column - 1, i.EndPos.Column - 1} }
