package rule

import (
	"strings"

	"cadreen/governance"
)

// readEffect takes an effect phrase into a clause.
func (c *compiler) readEffect(k *clause, it *item) {
	e := it.Effect
	k.effectAt = it.place()
	owner := func(o *ownerPhrase) {
		if o == nil || o.User {
			k.effect = governance.Confirm
			return
		}
		k.effect, k.to = governance.Escalate, c.reviewer(o.name())
	}
	switch {
	case e.Word == "shadow":
		k.shadow, k.effect = true, governance.Allow
	case e.Word != "":
		k.effect, _ = governance.ParseVerdict(e.Word)
	case e.Need:
		k.needs = true
		if e.Whose != nil {
			if e.Whose.User && c.tokens[it.place().to-1].class == "User" {
				c.notUnderstood(it.place()) // "needs the user"
			}
			owner(e.Whose)
		} else {
			owner(e.By)
		}
	case e.Approved:
		owner(e.ByWhom)
	case e.Escalate:
		k.effect = governance.Escalate
		if e.ToWhom != nil {
			owner(e.ToWhom)
		}
	case e.Approver != nil:
		owner(e.Approver)
	case e.Required:
		owner(e.ReqBy)
	case e.Elliptic != nil:
		k.needs = true
		owner(e.Elliptic)
	}
}

// name of who approves, as a role.
func (o *ownerPhrase) name() string {
	if o.Department != "" {
		if head := singular(o.Of); head != "" && !isTeam(head) {
			return o.Department + "-" + head
		}
		return o.Department
	}
	return roleWords(o.Words)
}

func isTeam(head string) bool {
	return strings.EqualFold(head, "team") || strings.EqualFold(head, "department")
}

// reviewer is the `to` of an escalation: any reviewer is "".
func (c *compiler) reviewer(role string) string {
	if role == "reviewer" {
		return ""
	}
	return "role:" + role
}

// roleWords makes a role's name of its words: "refund leads" is refund-lead.
func roleWords(words []string) string {
	lower := make([]string, len(words))
	for i, w := range words {
		lower[i] = strings.ToLower(w)
	}
	if last := len(lower) - 1; phrases[lower[last]].class == "Head" {
		lower[last] = singular(lower[last])
	}
	return strings.Join(lower, "-")
}

func singular(head string) string {
	return strings.TrimSuffix(head, "s")
}

// isRole: the words end in the head of a role's name.
func (c *compiler) isRole(s span) bool {
	return !s.empty() && s.to-s.from <= 3 && strings.HasSuffix(c.tokens[s.to-1].class, "Head")
}

// isReviewer: the words name a role or a department.
func (c *compiler) isReviewer(s span) bool {
	return c.isRole(s) || s.to-s.from == 1 && strings.HasSuffix(c.tokens[s.from].class, "Department")
}

func (c *compiler) roleName(s span) string {
	if first := c.tokens[s.from]; s.to-s.from == 2 && strings.HasSuffix(first.class, "Department") {
		if head := c.sentence[c.tokens[s.to-1].start:c.tokens[s.to-1].end]; isTeam(head) {
			s.to-- // the finance team is finance
		}
	}
	var words []string
	for _, t := range c.tokens[s.from:s.to] {
		words = append(words, c.sentence[t.start:t.end])
	}
	return roleWords(words)
}

// role of "the requester is a refund lead" and "has the role x".
func (p *rolePhrase) role(c *compiler, at span) string {
	if p.Named != "" {
		last := c.tokens[at.to-1]
		if last.class == "Quoted" {
			return p.Named
		}
		return c.sentence[last.start:last.end]
	}
	from := at.to - len(p.Words)
	return c.roleName(span{from, at.to})
}
