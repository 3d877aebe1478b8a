//! Conversations in the forms of Llama 2, Llama 3 and ChatML, written by templates of our own.

use super::*;
use serde_json::json;

const LLAMA_2: &str = "\
{% if messages[0]['role'] == 'system' %}
    {% set rest = messages[1:] %}
    {% set system = messages[0]['content'] %}
{% else %}
    {% set rest = messages %}
{% endif %}
{% for m in rest %}
    {% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{ raise_exception('user and assistant must take turns') }}
    {% endif %}
    {% if m['role'] == 'user' %}
        {% if loop.index0 == 0 and system is defined %}
            {% set said = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + m['content'] %}
        {% else %}
            {% set said = m['content'] %}
        {% endif %}
{{ bos_token + '[INST] ' + said.strip() + ' [/INST]' }}
    {%- else %}
{{ ' ' + m['content'].strip() + ' ' + eos_token }}
    {%- endif %}
{% endfor %}";

const LLAMA_3: &str = "\
{{- bos_token }}
{%- if not date_string is defined %}{% set date_string = strftime_now('%Y') %}{% endif %}
{%- for m in messages %}
    {{- '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if tools is not none %}{{ tools | tojson }}{% endif %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}";

const CHATML: &str = "\
{% for m in messages %}
<|im_start|>{{ m['role'] }}
{{ m['content'] }}<|im_end|>
{% endfor %}
{% if add_generation_prompt %}
<|im_start|>assistant
{% endif %}";

fn message(role: Role, content: &str) -> Message {
    Message { role, content: content.to_owned() }
}

fn template(source: &str) -> ChatTemplate {
    let settings = json!({
        "bos_token": "<s>", "eos_token": {"content": "</s>"}, "chat_template": source
    });
    ChatTemplate::find(&settings, None, "").unwrap()
}

#[test]
fn the_three_usual_forms() {
    let talk = [
        message(Role::System, "Be brief."),
        message(Role::User, " Hello "),
        message(Role::Assistant, "Hi."),
        message(Role::User, "Bye"),
    ];
    assert_eq!(
        template(LLAMA_2).render(&talk).unwrap(),
        "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n Hello [/INST] Hi. </s><s>[INST] Bye [/INST]"
    );
    assert_eq!(
        template(LLAMA_3).render(&talk[..2]).unwrap(),
        "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>\
         <|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>\
         <|start_header_id|>assistant<|end_header_id|>\n\n"
    );
    assert_eq!(
        template(CHATML).render(&talk[1..2]).unwrap(),
        "<|im_start|>user\n Hello <|im_end|>\n<|im_start|>assistant\n"
    );
}

#[test]
fn what_does_not_render_is_named_with_its_line() {
    let talk = [message(Role::Assistant, "I begin.")];
    let error = template(LLAMA_2).render(&talk).unwrap_err();
    assert!(error.why.contains("line 9") && error.why.contains("take turns"), "{error}");
    let error = template("{{ 1 }}\n{% if %}").render(&talk).unwrap_err();
    assert!(error.why.contains("line 2"), "{error}");
    let error = template("\n\n{{ messages[0].content.frobnicate() }}").render(&talk).unwrap_err();
    assert!(error.why.contains("line 3") && error.why.contains("frobnicate"), "{error}");
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
    assert!(template(endless).render(&talk).is_err());
    assert!(template(CHATML).render(&[]).unwrap_err().what.contains("no conversation"));
}

#[test]
fn where_a_template_is_found() {
    let several = json!({"chat_template": [
        {"name": "tools", "template": "no"}, {"name": "default", "template": "yes {{ bos_token }}"}
    ]});
    let talk = [message(Role::User, "x")];
    let found = ChatTemplate::find(&several, None, "<b>").unwrap();
    assert_eq!(found.render(&talk).unwrap(), "yes <b>");
    let found = ChatTemplate::find(&several, Some("file"), "").unwrap();
    assert_eq!(found.render(&talk).unwrap(), "file");
    assert_eq!(ChatTemplate::find(&json!({}), None, ""), None);
    assert_eq!(ChatTemplate::find(&json!({"chat_template": 3}), None, ""), None);
}

#[test]
fn pythons_methods_and_json() {
    let talk = [message(Role::User, "xxAbcxx")];
    let rendered = |source: &str| template(source).render(&talk).unwrap();
    assert_eq!(rendered("{{ messages[0].content.strip('x').lower() }}"), "abc");
    assert_eq!(rendered("{{ messages[0].content.split('A')[0] }}"), "xx");
    assert_eq!(rendered("{{ messages[0].get('name', 'none') }}"), "none");
    let items = "{% for k, v in messages[0].items() %}{{ k }}={{ v }};{% endfor %}";
    assert_eq!(rendered(items), "role=user;content=xxAbcxx;");
    assert_eq!(rendered("{{ {'a': [1, 'é<']} | tojson }}"), "{\"a\": [1, \"é<\"]}");
    assert_eq!(rendered("{{ [1] | tojson(indent=2) }}"), "[\n  1\n]");
}

#[test]
fn dates() {
    // As `date -u -d @N` writes them.
    assert_eq!(strftime("%d %b %Y %H:%M:%S %A", 0), "01 Jan 1970 00:00:00 Thursday");
    assert_eq!(strftime("%a %d %B %y %%", 951_782_400), "Tue 29 February 00 %");
    assert_eq!(strftime("%Y-%m-%d %q", 1_767_225_599), "2025-12-31 %q");
}
